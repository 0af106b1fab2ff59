//! The one writer to the terminal: the answer to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::{Error, why};
use crate::event::{Event, Listener};
use crate::render::{Style, guarded};

/// When colours are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How the terminal is written to.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// When colours are used.
    pub color: ColorWhen,
    /// Whether glyphs are plain ASCII.
    pub ascii: bool,
    /// Whether only errors are said beside the answer.
    pub quiet: bool,
    /// From 6 on, each request is shown.
    pub verbosity: u8,
    /// Whether tables have headers.
    pub headers: bool,
    /// What the user types to call this program.
    pub program: String,
}

/// The terminal.
#[derive(Debug)]
pub struct Ui {
    settings: Settings,
    spinner: Mutex<Option<ProgressBar>>,
    warned: Mutex<Vec<String>>,
}

impl Ui {
    /// A terminal with these settings.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            spinner: Mutex::default(),
            warned: Mutex::default(),
        }
    }

    /// How the answer looks on this stdout.
    pub fn style(&self) -> Style {
        let stdout = io::stdout();
        let color = match self.settings.color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => wants_color(&stdout),
        };
        let width = console_width()
            .filter(|_| stdout.is_terminal())
            .unwrap_or(100);
        Style {
            color,
            ascii: self.settings.ascii,
            width: width.clamp(20, 140),
            headers: self.settings.headers,
            program: self.settings.program.clone(),
        }
    }

    /// Writes the answer. A reader that went away is no error.
    ///
    /// # Errors
    /// When stdout cannot be written to for another reason.
    pub fn answer(&self, text: &str) -> Result<(), Error> {
        self.rest();
        let mut stdout = io::stdout().lock();
        match stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
        {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::new(
                crate::exit::Exit::Data,
                format!("cannot write the answer to stdout: {}", why(&error)),
            )),
            _ => Ok(()),
        }
    }

    /// Says what is neither the answer nor an error.
    pub fn note(&self, text: &str) {
        if !self.settings.quiet {
            self.say(text);
        }
    }

    /// Fails where nobody could answer a question: without a terminal, `--yes` says yes beforehand.
    ///
    /// # Errors
    /// When standard input is no terminal.
    pub fn can_ask(&self) -> Result<(), Error> {
        if io::stdin().is_terminal() {
            return Ok(());
        }
        Err(Error::new(
            crate::exit::Exit::Usage,
            "this asks before it changes anything, and standard input is no terminal",
        )
        .hint("`--yes` goes ahead without asking"))
    }

    /// Asks a question that is answered with yes or no. No answer is a no.
    ///
    /// # Errors
    /// When standard input is no terminal.
    pub fn ask(&self, question: &str) -> Result<bool, Error> {
        self.can_ask()?;
        self.rest();
        let mut stderr = io::stderr().lock();
        let question = guarded(question, false);
        let _gone = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
        drop(stderr);
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer);
        let answer = answer.trim().to_ascii_lowercase();
        Ok(read.is_ok() && matches!(answer.as_str(), "y" | "yes"))
    }

    /// Says what will be done before it is asked about, also when little is to be said.
    pub fn announce(&self, text: &str) {
        self.rest();
        self.say(text);
    }

    /// Says what went wrong and what to do next.
    pub fn error(&self, error: &Error) {
        self.rest();
        let mut text = format!("error: {error}");
        for hint in &error.hints {
            text.push_str("\nhint: ");
            text.push_str(hint);
        }
        self.say(&guarded(&text, false));
    }

    /// Shows that a cluster is being read, when stderr is a terminal.
    pub fn start_progress(&self, what: &str) {
        if self.settings.quiet || self.settings.verbosity >= 6 || !io::stderr().is_terminal() {
            return;
        }
        let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            spinner.set_style(style);
        }
        spinner.set_message(guarded(what, false).into_owned());
        spinner.enable_steady_tick(Duration::from_millis(100));
        if let Ok(mut slot) = self.spinner.lock() {
            *slot = Some(spinner);
        }
    }

    /// Takes the progress off the screen.
    pub fn rest(&self) {
        if let Ok(mut slot) = self.spinner.lock()
            && let Some(spinner) = slot.take()
        {
            spinner.finish_and_clear();
        }
    }

    fn say(&self, text: &str) {
        let spinner = self.spinner.lock().ok().and_then(|slot| slot.clone());
        let write = || {
            // A stderr that is gone leaves nobody to tell.
            let _gone = writeln!(io::stderr().lock(), "{}", guarded(text, true));
        };
        match spinner {
            Some(spinner) => spinner.suspend(write),
            None => write(),
        }
    }
}

impl Listener for Ui {
    fn notice(&self, event: Event) {
        match event {
            Event::Request {
                method,
                url,
                status,
                took,
            } => {
                if self.settings.verbosity >= 6 {
                    let status = status.map_or_else(|| "no answer".to_owned(), |s| s.to_string());
                    self.say(&format!(
                        "{method} {url} {status} in {} ms",
                        took.as_millis()
                    ));
                }
            }
            Event::Retry {
                attempt,
                wait,
                because,
                ..
            } => self.note(&format!(
                "{because}; try {attempt} in {:.1} s",
                wait.as_secs_f32()
            )),
            Event::Warning(text) => {
                let first = self.warned.lock().is_ok_and(|mut warned| {
                    let new = !warned.contains(&text);
                    if new {
                        warned.push(text.clone());
                    }
                    new
                });
                if first {
                    self.note(&format!("warning: {text}"));
                }
            }
            Event::StepBegan { step, at, of } => {
                self.note(&format!("[{at}/{of}] {step}"));
                if self.spinner.lock().is_ok_and(|slot| slot.is_none()) {
                    self.start_progress(&step);
                }
            }
            Event::StepDone { step } => self.note(&format!("      {step}: done")),
            Event::Wrote { verb, object, sent } => {
                let how = if sent { "" } else { " already" };
                self.note(&format!("      {object}{how} {verb}"));
            }
            Event::Kept {
                object,
                field,
                says,
            } => {
                let dot = if field.is_empty() { "" } else { ": " };
                self.note(&format!("      kept {object}{dot}{field} {says}"));
            }
            // On a terminal the last word is enough; elsewhere each is a line.
            Event::Waits { step, what } => {
                let words = guarded(&format!("{step}: {what}"), false).into_owned();
                let shown = self.spinner.lock().is_ok_and(|slot| {
                    slot.as_ref().is_some_and(|spinner| {
                        spinner.set_message(words.clone());
                        true
                    })
                });
                if !shown {
                    self.note(&format!("      {words}"));
                }
            }
            Event::Listed { what, count } | Event::Finished { what, count } => {
                if let Ok(slot) = self.spinner.lock()
                    && let Some(spinner) = slot.as_ref()
                {
                    spinner.set_message(format!("{what}: {count}"));
                }
            }
        }
    }
}

/// Says what is wrong with a command as it was typed; it quotes what was typed.
pub fn usage(told: &clap::builder::StyledStr) {
    let stderr = io::stderr();
    let color = wants_color(&stderr);
    let text = if color {
        told.ansi().to_string()
    } else {
        told.to_string()
    };
    let _gone = write!(stderr.lock(), "{}", guarded(&text, color));
}

/// Whether the environment and the stream want colours: `NO_COLOR`, then `CLICOLOR_FORCE` and
/// `FORCE_COLOR`, then `CLICOLOR=0`, then `TERM=dumb`, then whether it is a terminal.
fn wants_color(stream: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is = |name: &str, value: &str| std::env::var_os(name).is_some_and(|found| found == value);
    if set("NO_COLOR") {
        return false;
    }
    for name in ["CLICOLOR_FORCE", "FORCE_COLOR"] {
        if set(name) && !is(name, "0") {
            return true;
        }
    }
    !is("CLICOLOR", "0") && !is("TERM", "dumb") && stream.is_terminal()
}

fn console_width() -> Option<usize> {
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok());
    columns.or_else(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)))
}
