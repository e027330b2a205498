//! Trains byte-pair encoding: texts are counted as words, then the library merges pairs.
use crate::{Output, owned, owned_text, report_panics, returned};
use ahash::AHashMap;
use compact_str::CompactString;
use serde::Deserialize;
use std::cell::RefCell;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::split::Split;
use tokenizers::tokenizer::pattern::Pattern;
use tokenizers::utils::parallelism::set_parallelism;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, OffsetReferential, OffsetType,
    PostProcessorWrapper, PreTokenizedString, PreTokenizer, PreTokenizerWrapper, Result,
    TokenizerImpl,
};

type Untrained = TokenizerImpl<
    BPE,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

struct Training {
    tokenizer: Untrained,
    split: Split,
    /// How often each word occurs.
    words: AHashMap<CompactString, u64>,
    /// Bytes of the distinct words, in which memory and time grow.
    symbols: usize,
}

#[derive(Deserialize)]
struct Settings {
    vocab_size: usize,
    min_frequency: u64,
    special_tokens: Vec<String>,
}

thread_local! {
    static TRAINING: RefCell<Option<Training>> = const { RefCell::new(None) };
}

fn training<T>(call: impl FnOnce(&mut Training) -> Result<T>) -> Result<T> {
    TRAINING.with_borrow_mut(|training| match training {
        Some(training) => call(training),
        None => Err("no training has begun".into()),
    })
}

/// Begins with a tokenizer.json whose model is empty. Its pre-tokenizer splits by one pattern, and
/// turns words into bytes: here only the distinct ones are, which takes a fraction of the time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn train_begin(address: *mut u8, length: usize) -> u32 {
    report_panics();
    set_parallelism(false);
    let json = unsafe { owned(address, length) };
    returned((|| {
        let tokenizer: Untrained = serde_json::from_slice(&json)?;
        let split = match tokenizer.get_pre_tokenizer() {
            Some(PreTokenizerWrapper::Sequence(steps)) => match steps.as_ref() {
                [
                    PreTokenizerWrapper::Split(split),
                    PreTokenizerWrapper::ByteLevel(bytes),
                ] if !bytes.use_regex && !bytes.add_prefix_space => Some(split.clone()),
                _ => None,
            },
            _ => None,
        };
        TRAINING.set(Some(Training {
            split: split.ok_or("trains only with a split and bytes as pre-tokenizer")?,
            tokenizer,
            words: AHashMap::new(),
            symbols: 0,
        }));
        Ok(Output::default())
    })())
}

/// Counts the words of a text; `ids` are how many distinct ones there are by now, and their bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn train_count(address: *mut u8, length: usize) -> u32 {
    let text = unsafe { owned_text(address, length) };
    returned(training(|training| {
        let text = text?;
        for ((start, end), _) in (&training.split.regex).find_matches(&text)? {
            let word = &text[start..end];
            if let Some(count) = training.words.get_mut(word) {
                *count += 1;
            } else {
                training.symbols += word.len();
                training.words.insert(word.into(), 1);
            }
        }
        let ids = vec![training.words.len() as u32, training.symbols as u32];
        Ok(Output {
            ids,
            ..Output::default()
        })
    }))
}

/// The library's spelling of a word's bytes.
fn in_bytes(word: &str) -> Result<CompactString> {
    let mut piece = PreTokenizedString::from(word);
    ByteLevel::new(false, false, false).pre_tokenize(&mut piece)?;
    let splits = piece.get_splits(OffsetReferential::Original, OffsetType::Byte);
    Ok(splits.into_iter().map(|(bytes, ..)| bytes).collect())
}

/// Trains on the words counted; `text` is the tokenizer.json. Ends the training.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn train_end(address: *mut u8, length: usize) -> u32 {
    let json = unsafe { owned(address, length) };
    let training = TRAINING.take();
    returned((|| {
        let settings: Settings = serde_json::from_slice(&json)?;
        let Training {
            mut tokenizer,
            words,
            ..
        } = training.ok_or("no training has begun")?;
        let spelled: Result<_> = words
            .into_iter()
            .map(|(word, count)| Ok((in_bytes(&word)?, count)))
            .collect();
        let special = settings.special_tokens.into_iter();
        let trainer = BpeTrainer::builder()
            .vocab_size(settings.vocab_size)
            .min_frequency(settings.min_frequency)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .special_tokens(special.map(|token| AddedToken::from(token, true)).collect())
            .build();
        let mut model = BPE::default();
        let special = trainer.do_train(&spelled?, &mut model)?;
        tokenizer.with_model(model).add_special_tokens(special)?;
        Ok(Output {
            text: tokenizer.to_string(true)?.into(),
            ..Output::default()
        })
    })())
}
