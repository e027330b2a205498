//! A model that notes what it has no token for.
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tokenizers::models::{ModelWrapper, TrainerWrapper};
use tokenizers::{Model, Result, Token};

pub struct Watched {
    model: ModelWrapper,
    unknown: Option<u32>,
    /// Byte-pair encoding without an unknown token leaves unknown characters out.
    drops: bool,
    /// Text that became the unknown token or was left out since the last call of `take`.
    noted: RefCell<Vec<String>>,
}

impl Watched {
    pub fn new(model: ModelWrapper, unknown: Option<u32>) -> Self {
        let drops = matches!(&model, ModelWrapper::BPE(bpe) if bpe.unk_token.is_none());
        Self { model, unknown, drops, noted: RefCell::default() }
    }

    pub fn take(&self) -> Vec<String> {
        self.noted.take()
    }

    fn note(&self, sequence: &str, tokens: &[Token]) {
        if let Some(unknown) = self.unknown {
            for token in tokens.iter().filter(|token| token.id == unknown) {
                let text = sequence.get(token.offsets.0..token.offsets.1).unwrap_or_default();
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
