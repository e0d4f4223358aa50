use super::build::Builder;
use super::*;

fn small() -> Vec<u8> {
    let row: Vec<u8> = (0..8).flat_map(|i| (i as f32).to_le_bytes()).collect();
    Builder::default()
        .string("general.architecture", "llama")
        .u32("llama.block_count", 2)
        .f32("llama.attention.layer_norm_rms_epsilon", 1e-5)
        .key("tokenizer.ggml.add_bos_token", 7, &[1])
        .strings("tokenizer.ggml.tokens", &["a", "", "né"])
        .i32s("tokenizer.ggml.token_type", &[1, 3, -1])
        .tensor("token_embd.weight", &[4, 2], 0, &row)
        .tensor("blocks", &[32, 1], 8, &[7; 34])
        .bytes()
}

fn open(bytes: Vec<u8>) -> Result<Gguf, LmError> {
    Gguf::from_bytes("test.gguf", bytes)
}

fn message(bytes: Vec<u8>) -> String {
    open(bytes).expect_err("the file is bad").to_string()
}

#[test]
fn what_was_written_is_read_back() {
    let file = open(small()).unwrap();
    let metadata = file.metadata();
    assert_eq!(metadata.string("general.architecture").unwrap(), Some("llama"));
    assert_eq!(metadata.u32("llama.block_count").unwrap(), Some(2));
    assert_eq!(metadata.f32("llama.attention.layer_norm_rms_epsilon").unwrap(), Some(1e-5));
    assert_eq!(metadata.bool("tokenizer.ggml.add_bos_token").unwrap(), Some(true));
    assert_eq!(metadata.strings("tokenizer.ggml.tokens").unwrap(), Some(vec!["a", "", "né"]));
    assert_eq!(metadata.integers("tokenizer.ggml.token_type").unwrap(), Some(vec![1, 3, -1]));
    assert_eq!(metadata.u32("absent").unwrap(), None);
    let tensor = file.tensor("token_embd.weight").unwrap();
    assert_eq!((tensor.dims.as_slice(), tensor.tensor_type), ([4, 2].as_slice(), TensorType::F32));
    assert_eq!(file.file()[tensor.range.clone()][4..8], 1f32.to_le_bytes());
    assert_eq!(file.file()[file.tensor("blocks").unwrap().range.clone()], [7; 34]);
}

#[test]
fn a_key_of_another_type_is_an_error_that_names_it() {
    let file = open(small()).unwrap();
    let error = file.metadata().u32("general.architecture").unwrap_err().to_string();
    assert_eq!(error, "test.gguf: metadata key `general.architecture` is of type string, expected u32");
    assert!(file.metadata().strings("llama.block_count").is_err());
    assert!(file.metadata().floats("tokenizer.ggml.tokens").is_err());
    let error = file.metadata().require_u32("llama.missing").unwrap_err().to_string();
    assert_eq!(error, "test.gguf lacks the metadata key `llama.missing`");
}

#[test]
fn a_file_cut_at_any_byte_is_an_error() {
    let whole = small();
    // The last bytes are the padding behind the last tensor.
    let needed = open(whole.clone()).unwrap().tensor("blocks").unwrap().range.end;
    for len in 0..needed {
        assert!(open(whole[..len].to_vec()).is_err(), "cut at {len}");
    }
    assert!(open(whole[..needed].to_vec()).is_ok());
}

/// Reads every value and every tensor's bytes; only a panic or a hang fails.
fn read_all(file: &Gguf) {
    let metadata = file.metadata();
    for key in metadata.keys() {
        let _ = (metadata.string(key), metadata.bool(key), metadata.u64(key), metadata.f32(key));
        let _ = (metadata.strings(key), metadata.integers(key), metadata.floats(key));
    }
    for (_, tensor) in file.tensors() {
        let bytes = &file.file()[tensor.range.clone()];
        assert!(
            tensor
                .tensor_type
                .layout()
                .is_none_or(|(len, size)| tensor.n_elements() / len * size == bytes.len())
        );
    }
}

#[test]
fn no_changed_byte_makes_the_reader_panic_or_read_out_of_bounds() {
    let whole = small();
    for position in 0..whole.len() {
        for value in
            [0, 1, 2, 9, 12, 31, 0x7f, 0x80, 0xfe, 0xff, whole[position] ^ 1, whole[position].wrapping_add(1)]
        {
            let mut bytes = whole.clone();
            bytes[position] = value;
            if let Ok(file) = open(bytes) {
                read_all(&file);
            }
        }
    }
}

#[test]
fn no_huge_number_makes_the_reader_panic_or_allocate() {
    let whole = small();
    for position in 0..whole.len() - 8 {
        for value in [u64::MAX, i64::MAX as u64, 1 << 63, 1 << 32, u64::from(u32::MAX), 1 << 60] {
            let mut bytes = whole.clone();
            bytes[position..position + 8].copy_from_slice(&value.to_le_bytes());
            if let Ok(file) = open(bytes) {
                read_all(&file);
            }
        }
    }
}

#[test]
fn errors_name_the_tensor_and_what_is_wrong() {
    let has = |bytes: Vec<u8>, words: &[&str]| {
        let text = message(bytes);
        assert!(text.starts_with("test.gguf") && words.iter().all(|w| text.contains(w)), "{text}");
    };
    let tensor = |dims: &[u64], type_id, offset| {
        Builder::default().tensor_at("blk.0.x", dims, type_id, offset).bytes()
    };
    has(tensor(&[4], 0, 1 << 40), &["`blk.0.x`", "past the end"]);
    has(tensor(&[4], 0, u64::MAX - 31), &["`blk.0.x`", "past the end"]);
    has(tensor(&[4], 0, 0), &["`blk.0.x`", "needs 16 bytes", "truncated"]);
    has(tensor(&[4], 0, 7), &["`blk.0.x`", "offset 7", "alignment"]);
    has(tensor(&[-4i64 as u64], 0, 0), &["`blk.0.x`", "dimension of -4"]);
    has(tensor(&[0], 0, 0), &["`blk.0.x`", "dimension of 0"]);
    has(tensor(&[1 << 40, 1 << 40], 0, 0), &["`blk.0.x`", "overflow"]);
    has(tensor(&[33], 2, 0), &["`blk.0.x`", "Q4_0", "multiple of 32"]);
    has(tensor(&[4], 77, 0), &["`blk.0.x`", "type number 77"]);
    has(tensor(&[1, 1, 1, 1, 1], 0, 0), &["`blk.0.x`", "5 dimensions"]);
    has(tensor(&[], 0, 0), &["`blk.0.x`", "0 dimensions"]);
    let twice = Builder::default().tensor("x", &[1], 0, &[0; 4]).tensor("x", &[1], 0, &[0; 4]).bytes();
    has(twice, &["`x`", "twice"]);
    has(Builder::default().u32("k", 1).u32("k", 1).bytes(), &["`k`", "twice"]);
    has(Builder::default().u32("general.alignment", 3).bytes(), &["alignment", "power of two"]);
    has(b"PK\x03\x04 some zip file, longer than a header".to_vec(), &["not with \"GGUF\""]);
    has(b"".to_vec(), &["magic"]);
    let mut old = small();
    old[4] = 1;
    has(old, &["version is 1"]);
    let mut big_endian = small();
    big_endian[4..8].copy_from_slice(&3u32.to_be_bytes());
    has(big_endian, &["big-endian"]);
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let error = Gguf::open(Path::new("/nowhere/model.gguf")).unwrap_err().to_string();
    assert!(error.contains("/nowhere/model.gguf"), "{error}");
    let error = Gguf::open(&std::env::temp_dir()).unwrap_err().to_string();
    assert!(error.contains("it is a folder"), "{error}");
}
