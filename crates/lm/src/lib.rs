//! GGUF models: file, tokenizer, chat template, layers, architectures, state.
