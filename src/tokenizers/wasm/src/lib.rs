//! One tokenizer in one WebAssembly instance, for ../engine.ts.
//!
//! Bytes come in at an address from `allocate` and are freed here, texts as UTF-8. A call returns
//! 0, or 1 where `text` is the message of its fault. Its results are read with the functions at the
//! end of this file until the next call. A panic ends the instance, and `text` is its message.
mod libc;
mod training;
mod watched;

use std::cell::RefCell;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PreTokenizerWrapper, Result, TokenizerImpl,
};
use watched::Watched;

type Engine = TokenizerImpl<
    Watched,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

#[derive(Default)]
struct Output {
    ids: Vec<u32>,
    starts: Vec<u32>,
    ends: Vec<u32>,
    text: Vec<u8>,
    /// How often something had no token.
    unknown: u32,
}

thread_local! {
    static ENGINE: RefCell<Option<Engine>> = const { RefCell::new(None) };
    static OUTPUT: RefCell<Output> = RefCell::default();
}

#[unsafe(no_mangle)]
pub extern "C" fn allocate(length: usize) -> *mut u8 {
    Box::into_raw(vec![0u8; length].into_boxed_slice()).cast()
}

/// The bytes at an address from `allocate`.
unsafe fn owned(address: *mut u8, length: usize) -> Vec<u8> {
    unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(address, length)) }.into_vec()
}

unsafe fn owned_text(address: *mut u8, length: usize) -> Result<String> {
    Ok(String::from_utf8(unsafe { owned(address, length) })?)
}

/// Runs a call on the tokenizer.
fn answer(call: impl FnOnce(&mut Engine) -> Result<Output>) -> u32 {
    let result = ENGINE.with_borrow_mut(|engine| match engine {
        Some(engine) => call(engine),
        None => Err("no tokenizer is loaded".into()),
    });
    returned(result)
}

fn returned(result: Result<Output>) -> u32 {
    let (output, status) = match result {
        Ok(output) => (output, 0),
        Err(error) => (
            Output {
                text: error.to_string().into(),
                ..Output::default()
            },
            1,
        ),
    };
    OUTPUT.replace(output);
    status
}

/// Leaves the message of a panic in `text`.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic
            .payload_as_str()
            .unwrap_or("panic")
            .as_bytes()
            .to_vec();
        OUTPUT.replace(Output {
            text,
            ..Output::default()
        });
    }));
}

/// Loads a tokenizer.json without its truncation and padding, which belong to batches; `unknown` is
/// the id of its unknown token, or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn load(address: *mut u8, length: usize, unknown: i32) -> u32 {
    report_panics();
    let json = unsafe { owned(address, length) };
    returned(read(&json, u32::try_from(unknown).ok()).map(|engine| {
        ENGINE.set(Some(engine));
        Output::default()
    }))
}

fn read(json: &[u8], unknown: Option<u32>) -> Result<Engine> {
    let mut engine: Engine = serde_json::from_slice(json)?;
    engine.get_model().unknown.set(unknown);
    engine.with_truncation(None)?.with_padding(None);
    let processor = engine.get_post_processor().cloned();
    engine.with_post_processor(processor.map(untrimmed));
    Ok(engine)
}

/// Without the trimming of white space from offsets, which leaves tokens without any text. It
/// changes no id.
fn untrimmed(mut processor: PostProcessorWrapper) -> PostProcessorWrapper {
    match &mut processor {
        PostProcessorWrapper::ByteLevel(own) => own.trim_offsets = false,
        PostProcessorWrapper::Roberta(own) => own.trim_offsets = false,
        PostProcessorWrapper::Sequence(own) => {
            for each in own.as_mut() {
                *each = untrimmed(each.clone());
            }
        }
        _ => {}
    }
    processor
}

/// Adds tokens: a JSON list in the form of tokenizer.json's `added_tokens`, without ids.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn add_tokens(address: *mut u8, length: usize) -> u32 {
    let json = unsafe { owned(address, length) };
    answer(|engine| {
        let tokens: Vec<AddedToken> = serde_json::from_slice(&json)?;
        engine.add_tokens(tokens)?;
        Ok(Output::default())
    })
}

const ADD_SPECIAL_TOKENS: u32 = 1;
const WITH_OFFSETS: u32 = 2;

/// Token ids of a text, and where asked for offsets into it in UTF-16 units. `text` lists what had
/// no token, as JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn encode(address: *mut u8, length: usize, flags: u32) -> u32 {
    let text = unsafe { owned_text(address, length) };
    answer(|engine| {
        let text = text?;
        let special = flags & ADD_SPECIAL_TOKENS != 0;
        let mut output = Output::default();
        if flags & WITH_OFFSETS == 0 {
            output.ids = engine
                .encode_fast(text.as_str(), special)?
                .get_ids()
                .to_vec();
        } else {
            let encoding = engine.encode_char_offsets(text.as_str(), special)?;
            output.ids = encoding.get_ids().to_vec();
            let units = Utf16::of(&text);
            let offsets = encoding.get_offsets().iter();
            (output.starts, output.ends) = offsets
                .map(|&(start, end)| (units.at(start), units.at(end)))
                .unzip();
        }
        let unknown = engine.get_model().take();
        if !unknown.is_empty() {
            output.unknown = unknown.len() as u32;
            output.text = serde_json::to_vec(&unknown)?;
        }
        Ok(output)
    })
}

/// From characters to UTF-16 units.
enum Utf16 {
    Same,
    Mapped(Vec<u32>),
}

impl Utf16 {
    fn of(text: &str) -> Self {
        // Only characters beyond U+FFFF have two units, and four bytes.
        if text.bytes().all(|byte| byte < 0xf0) {
            return Self::Same;
        }
        let mut unit = 0;
        let starts = text.chars().map(|character| {
            let start = unit;
            unit += character.len_utf16() as u32;
            start
        });
        let mut units: Vec<u32> = starts.collect();
        units.push(unit);
        Self::Mapped(units)
    }

    fn at(&self, character: usize) -> u32 {
        match self {
            Self::Same => character as u32,
            Self::Mapped(units) => units[character],
        }
    }
}

/// The text of ids, 32 bits each. An id without a token is a fault.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn decode(address: *mut u8, length: usize, skip_special: u32) -> u32 {
    let bytes = unsafe { owned(address, length) };
    answer(|engine| {
        let words = bytes.as_chunks::<4>().0.iter();
        let ids: Vec<u32> = words.map(|each| u32::from_le_bytes(*each)).collect();
        if let Some(id) = ids.iter().find(|id| engine.id_to_token(**id).is_none()) {
            let size = vocabulary_size(engine);
            return Err(format!("has no token {id}, its vocabulary is {size}").into());
        }
        let text = engine.decode(&ids, skip_special != 0)?.into_bytes();
        Ok(Output {
            text,
            ..Output::default()
        })
    })
}

/// One more than the largest id, in `ids`.
#[unsafe(no_mangle)]
pub extern "C" fn vocab_size() -> u32 {
    answer(|engine| {
        Ok(Output {
            ids: vec![vocabulary_size(engine)],
            ..Output::default()
        })
    })
}

fn vocabulary_size(engine: &Engine) -> u32 {
    engine
        .get_vocab(true)
        .into_values()
        .max()
        .map_or(0, |largest| largest + 1)
}

/// The id of a token, in `ids`; none if it is not in the vocabulary.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn token_id(address: *mut u8, length: usize) -> u32 {
    let token = unsafe { owned_text(address, length) };
    answer(|engine| {
        let ids = engine.token_to_id(&token?).into_iter().collect();
        Ok(Output {
            ids,
            ..Output::default()
        })
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ids() -> *const u32 {
    OUTPUT.with_borrow(|output| output.ids.as_ptr())
}

#[unsafe(no_mangle)]
pub extern "C" fn count() -> usize {
    OUTPUT.with_borrow(|output| output.ids.len())
}

#[unsafe(no_mangle)]
pub extern "C" fn starts() -> *const u32 {
    OUTPUT.with_borrow(|output| output.starts.as_ptr())
}

#[unsafe(no_mangle)]
pub extern "C" fn ends() -> *const u32 {
    OUTPUT.with_borrow(|output| output.ends.as_ptr())
}

#[unsafe(no_mangle)]
pub extern "C" fn unknown() -> u32 {
    OUTPUT.with_borrow(|output| output.unknown)
}

#[unsafe(no_mangle)]
pub extern "C" fn text() -> *const u8 {
    OUTPUT.with_borrow(|output| output.text.as_ptr())
}

#[unsafe(no_mangle)]
pub extern "C" fn text_length() -> usize {
    OUTPUT.with_borrow(|output| output.text.len())
}
