//! How a run stands: what its last line says, whoever writes it. That is the run itself at its end, or, where it is
//! stuck (opening a pipe, connecting, waiting for a lock), the thread that watches signals or the deadline.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::agent::Totals;
use crate::base::clock;
use crate::base::exit::Exit;
use crate::base::failure::Failure;
use crate::base::secret::Redactor;
use crate::base::stop::Stop;
use crate::form::Answer;
use crate::report;
use crate::transcript::{Recorder, RunResult, UsageLine};

/// How long a run that is ended from outside waits for what it owes to be written.
const PATIENCE: Duration = Duration::from_millis(300);

/// The figures of a run and what the model said last. Clones share them.
#[derive(Debug, Clone)]
pub struct Standing {
    state: Arc<Mutex<State>>,
    start: Instant,
}

/// What a [`Standing`] holds.
#[derive(Debug, Default)]
pub struct State {
    /// What the run has used.
    pub totals: Totals,
    /// The text of the last turn.
    pub text: String,
    /// Why that ended, in the server's word.
    pub stop_reason: Option<String>,
    /// Secrets of this run.
    pub redactor: Redactor,
}

impl Default for Standing {
    fn default() -> Self {
        Self { state: Arc::default(), start: clock::now() }
    }
}

impl Standing {
    /// The figures and the text, for this thread alone.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the run has lasted.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// The last line of a run with this outcome.
    #[must_use]
    pub fn result(&self, answer: Option<&Answer>, failure: Option<&Failure>) -> RunResult {
        let exit = exit_of(answer, failure);
        let state = self.state();
        let totals = &state.totals;
        let error = failure.map(|failure| {
            let class = failure.class.unwrap_or(exit.status());
            json!({"class": class, "message": state.redactor.clean(&failure.to_string())})
        });
        RunResult {
            status: exit.status(),
            exit_code: exit.code(),
            stop_reason: state.stop_reason.clone(),
            result: answer.map_or(&state.text, |answer| &answer.text).clone(),
            structured: answer.and_then(|answer| answer.structured.clone()),
            turns: totals.turns,
            tool_calls: totals.tool_calls,
            retries: totals.retries,
            prunes: totals.prunes,
            duration_ms: clock::millis_since(self.start),
            usage: UsageLine::new(&totals.usage, totals.cost),
            cost_usd: totals.cost.map(|cost| cost.total()),
            error,
        }
    }
}

/// The code that holds for this outcome.
#[must_use]
pub fn exit_of(answer: Option<&Answer>, failure: Option<&Failure>) -> Exit {
    failure.map_or_else(|| answer.map_or(Exit::Ok, Answer::exit), |failure| failure.exit)
}

/// What a run that fails owes to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owed {
    /// Nothing.
    Nothing,
    /// The result object.
    Object,
    /// What the model said last, where it is a limit that ends the run.
    Text,
}

/// The end of a run, which comes once. Clones share it.
#[derive(Debug, Clone)]
pub struct Ending {
    /// How the run stands.
    pub standing: Standing,
    /// Where its last line goes.
    pub recorder: Recorder,
    /// Where its answer goes.
    pub owed: Owed,
    /// stdout is a terminal.
    pub terminal: bool,
    begun: Arc<AtomicBool>,
}

impl Ending {
    /// The end of a run that stands like this.
    #[must_use]
    pub fn new(standing: Standing, recorder: Recorder, owed: Owed, terminal: bool) -> Self {
        Self { standing, recorder, owed, terminal, begun: Arc::default() }
    }

    /// Begins the last words of a run that has come to its end by itself. Where [`Self::at_once`] was first, this
    /// waits for the process to be gone.
    pub fn begin(&self) {
        while self.begun.swap(true, Ordering::SeqCst) {
            clock::pause(PATIENCE);
        }
    }

    /// Writes what a run owes that cannot be told to end, if it has not begun to do so itself, and then does `last`.
    /// Afterwards the caller ends the process, whether that has worked or not.
    pub fn at_once(&self, stop: Stop, last: impl FnOnce() + Send + 'static) {
        let (own, (done, wait)) = (self.clone(), mpsc::channel());
        let work = move || {
            if !own.begun.swap(true, Ordering::SeqCst) {
                own.write(stop);
            }
            last();
            let _ = done.send(());
        };
        // A reader that does not read holds up nothing.
        if std::thread::Builder::new().name("ending".to_owned()).spawn(work).is_ok() {
            let _ = wait.recv_timeout(PATIENCE);
        }
    }

    fn write(&self, stop: Stop) {
        let failure = Failure::from(stop);
        let result = self.standing.result(None, Some(&failure));
        let mut stdout = report::Answer::new(self.terminal);
        stdout.redact(self.standing.state().redactor.clone());
        let _ = match self.owed {
            Owed::Object => stdout.json(&self.recorder.result_line(&result)),
            Owed::Text if stop == Stop::Deadline => stdout.end_turn(&result.result).and_then(|()| stdout.finish()),
            Owed::Text | Owed::Nothing => Ok(()),
        };
        let _ = self.recorder.result(result, |failure| self.standing.result(None, Some(failure)));
    }
}
