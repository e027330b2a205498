//! A model that notes what it has no token for.
use serde::de::{Deserialize, Deserializer, Error};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tokenizers::models::{ModelWrapper, TrainerWrapper};
use tokenizers::{Model, Result, Token};

pub struct Watched {
    model: ModelWrapper,
    /// The id of the unknown token.
    pub unknown: Cell<Option<u32>>,
    /// Byte-pair encoding without an unknown token leaves unknown characters out.
    drops: bool,
    /// Text that became the unknown token or was left out since the last call of `take`.
    noted: RefCell<Vec<String>>,
}

impl Watched {
    pub fn take(&self) -> Vec<String> {
        self.noted.take()
    }

    fn note(&self, sequence: &str, tokens: &[Token]) {
        if let Some(unknown) = self.unknown.get() {
            for token in tokens.iter().filter(|token| token.id == unknown) {
                let text = sequence
                    .get(token.offsets.0..token.offsets.1)
                    .unwrap_or_default();
                self.noted.borrow_mut().push(text.to_owned());
            }
        }
        // The lengths of the tokens add up to the text's, unless something is missing.
        if self.drops && tokens.last().map_or(0, |token| token.offsets.1) != sequence.len() {
            let mut noted = self.noted.borrow_mut();
            for character in sequence.chars().map(String::from) {
                if self.model.token_to_id(&character).is_none() {
                    noted.push(character);
                }
            }
        }
    }
}

/// As the library reads a model, but where its type is given without the library's two copies of the
/// whole vocabulary.
impl<'de> Deserialize<'de> for Watched {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut json = Value::deserialize(deserializer)?;
        let kind = json
            .as_object_mut()
            .and_then(|object| object.remove("type"));
        let model = match kind.as_ref().and_then(Value::as_str) {
            Some("BPE") => serde_json::from_value(json).map(ModelWrapper::BPE),
            Some("WordPiece") => serde_json::from_value(json).map(ModelWrapper::WordPiece),
            Some("WordLevel") => serde_json::from_value(json).map(ModelWrapper::WordLevel),
            Some("Unigram") => serde_json::from_value(json).map(ModelWrapper::Unigram),
            Some(other) => Err(serde_json::Error::custom(format!(
                "unknown model type {other}"
            ))),
            None => serde_json::from_value(json),
        }
        .map_err(D::Error::custom)?;
        let drops = matches!(&model, ModelWrapper::BPE(bpe) if bpe.unk_token.is_none());
        Ok(Self {
            model,
            unknown: Cell::default(),
            drops,
            noted: RefCell::default(),
        })
    }
}

impl Model for Watched {
    type Trainer = TrainerWrapper;

    fn tokenize(&self, sequence: &str) -> Result<Vec<Token>> {
        let tokens = self.model.tokenize(sequence)?;
        self.note(sequence, &tokens);
        Ok(tokens)
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.model.token_to_id(token)
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.model.id_to_token(id)
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        self.model.get_vocab()
    }

    fn get_vocab_size(&self) -> usize {
        self.model.get_vocab_size()
    }

    fn save(&self, folder: &Path, prefix: Option<&str>) -> Result<Vec<PathBuf>> {
        self.model.save(folder, prefix)
    }

    fn get_trainer(&self) -> TrainerWrapper {
        self.model.get_trainer()
    }
}
