//! Whatever bytes a GGUF file has: reading them, opening them as a model and running it neither panics nor reads out of
//! bounds nor allocates by a count in the file.
//!
//! `fuzz/run.sh` builds and runs it; `cargo +nightly fuzz run --features gguf gguf` does as well.

#![no_main]

use std::sync::{Arc, OnceLock};

use docent_kernels::{Kernels, KvType, Settings};
use docent_lm::gguf::Gguf;
use docent_lm::{Logits, Model, ModelOptions};
use libfuzzer_sys::fuzz_target;

fn kernels() -> Arc<Kernels> {
    static KERNELS: OnceLock<Arc<Kernels>> = OnceLock::new();
    let one_thread = || Kernels::new(Settings { n_threads: 1, ..Settings::default() }).expect("one thread is always to be had");
    Arc::clone(KERNELS.get_or_init(|| Arc::new(one_thread())))
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = Gguf::from_bytes("fuzz.gguf", bytes.to_vec()) else { return };
    let metadata = file.metadata();
    for key in metadata.keys() {
        let _ = (metadata.string(key), metadata.bool(key), metadata.u64(key), metadata.f32(key));
        let _ = (metadata.strings(key), metadata.integers(key), metadata.floats(key));
    }
    for (_, tensor) in file.tensors() {
        assert!(file.file().get(tensor.range.clone()).is_some());
    }
    let options = ModelOptions { kv_type: KvType::F16, kernels: kernels() };
    if let Ok(model) = Model::from_file(file, &options) {
        let mut state = model.new_state();
        let _ = model.forward(&mut state, &[0, 1], Logits::None);
        let _ = model.forward(&mut state, &[2], Logits::Last);
    }
});
