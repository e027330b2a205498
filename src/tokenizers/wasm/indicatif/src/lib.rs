//! A progress bar that JavaScript draws. `progress` may suspend the call that it is made from.
use std::borrow::Cow;
use std::sync::Mutex;

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    fn progress(phase: *const u8, phase_length: usize, done: u32, total: u32);
}

/// Of a phase with many quick steps, not each is reported.
const REPORTS: u64 = 1 << 12;

#[derive(Default)]
struct State {
    phase: Cow<'static, str>,
    done: u64,
    total: u64,
}

pub struct ProgressBar(Mutex<State>);

impl ProgressBar {
    pub fn new(total: u64) -> Self {
        Self(Mutex::new(State {
            total,
            ..State::default()
        }))
    }

    pub fn set_length(&self, total: u64) {
        self.0.lock().unwrap().total = total;
    }

    pub fn set_message(&self, phase: impl Into<Cow<'static, str>>) {
        self.0.lock().unwrap().phase = phase.into();
    }

    pub fn reset(&self) {
        self.0.lock().unwrap().done = 0;
    }

    pub fn inc(&self, steps: u64) {
        let mut state = self.0.lock().unwrap();
        state.done += steps;
        if state.done % (state.total / REPORTS).max(1) == 0 {
            let State { phase, done, total } = &*state;
            unsafe { progress(phase.as_ptr(), phase.len(), *done as u32, *total as u32) };
        }
    }

    pub fn finish(&self) {}

    pub fn set_style(&self, _style: ProgressStyle) {}
}

pub struct ProgressStyle;

impl ProgressStyle {
    pub fn default_bar() -> Self {
        Self
    }

    pub fn template(self, _template: &str) -> Result<Self, String> {
        Ok(self)
    }
}
