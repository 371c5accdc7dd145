//! A program that is started for each message.
//!
//! It is run without a shell, with the message's JSON ([`crate::alert::message`]) on its standard input, and with
//! nothing of the monitor's environment but `PATH`, `HOME`, `LANG` and `TZ`: the secrets of other sinks may be in the
//! rest. Beside them it has `ATL_ALERT_ID`, `ATL_ALERT_KIND` (`alert` or `digest`), `ATL_ALERT_SUBJECT`, and for an
//! alert `ATL_ALERT_CLASS`, `ATL_ALERT_SEVERITY` and `ATL_ALERT_LOG`. It says yes by ending with 0; the same message
//! may come more than once.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::SinkError;
use crate::alert::message::Message;
use crate::text::excerpt;

/// Most octets kept of what it writes.
const MOST_OF_OUTPUT: u64 = 4 << 10;

/// How long its output is waited for once it has ended: something that it has started may hold it open.
const LAST_WORDS: Duration = Duration::from_millis(500);

const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// A program as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandConfig {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// How long it may take; it is killed then, with what it has started.
    pub timeout: Duration,
}

/// A program that is ready to be started.
#[derive(Debug)]
pub struct CommandSink(CommandConfig);

/// Kills the program and what it has started, unless it has ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Where nothing of it is left there is nothing to do.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl CommandSink {
    /// A program that is ready to be started.
    pub fn open(config: &CommandConfig) -> Self {
        Self(config.clone())
    }

    /// Runs it.
    ///
    /// # Errors
    /// Where it cannot be started, does not end in time, or ends with something else than 0.
    pub async fn send(&self, message: &Message) -> Result<(), SinkError> {
        let body = message.json().map_err(|e| SinkError::refused(e.to_string()))?;
        let name = self.0.program.display();
        let mut child =
            self.command(message).spawn().map_err(|e| SinkError::trouble(format!("{name} does not start: {e}")))?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let mut group = Group(pid);
        let Ok(ended) = timeout(self.0.timeout, run(&mut child, &body)).await else {
            let seconds = self.0.timeout.as_secs();
            return Err(SinkError::trouble(format!("{name} did not end within {seconds} s, and was killed")));
        };
        let (status, output) = ended.map_err(|e| SinkError::trouble(format!("{name}: {e}")))?;
        group.0 = None;
        if status.success() {
            return Ok(());
        }
        let colon = if output.is_empty() { "" } else { ": " };
        Err(SinkError::trouble(format!("{name} {}{colon}{}", ending(status), excerpt(&output, 300))))
    }

    fn command(&self, message: &Message) -> Command {
        let mut command = Command::new(&self.0.program);
        command.args(&self.0.args).env_clear().kill_on_drop(true).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env("ATL_ALERT_ID", message.id()).env("ATL_ALERT_KIND", message.kind());
        command.env("ATL_ALERT_SUBJECT", message.subject());
        if let Message::Alert(notice) = message {
            command.env("ATL_ALERT_CLASS", notice.class.code());
            command.env("ATL_ALERT_SEVERITY", notice.severity.as_str());
            command.env("ATL_ALERT_LOG", &notice.log);
        }
        command
    }
}

/// Feeds it and waits for it; how it ended, and what it wrote to its standard error.
async fn run(child: &mut Child, body: &[u8]) -> std::io::Result<(ExitStatus, String)> {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let mut kept = Vec::new();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read to the end may say yes all the same: its exit code decides.
            let _ = stdin.write_all(body).await;
        }
    };
    let status = {
        let words = async {
            if let Some(stderr) = stderr {
                let _ = read_bounded(stderr, &mut kept).await;
            }
        };
        tokio::pin!(words);
        let mut heard = false;
        let ended = async { tokio::join!(child.wait(), feed).0 };
        tokio::pin!(ended);
        let status = loop {
            tokio::select! {
                () = &mut words, if !heard => heard = true,
                status = &mut ended => break status?,
            }
        };
        if !heard {
            let _ = timeout(LAST_WORDS, words).await;
        }
        status
    };
    Ok((status, String::from_utf8_lossy(&kept).into_owned()))
}

/// Reads to the end and keeps the beginning: a program whose output nobody reads would stand still.
async fn read_bounded(mut from: impl AsyncRead + Unpin, kept: &mut Vec<u8>) -> std::io::Result<()> {
    (&mut from).take(MOST_OF_OUTPUT).read_to_end(kept).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await.map(drop)
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::message::Letterhead;
    use crate::finding::{Class, Finding};
    use atl::time::UnixMillis;

    fn shell(script: &str, seconds: u64) -> CommandSink {
        let args = vec!["-c".into(), script.to_owned()];
        CommandSink::open(&CommandConfig { program: "/bin/sh".into(), args, timeout: Duration::from_secs(seconds) })
    }

    fn message(summary: &str) -> Message {
        let letterhead = Letterhead { monitor: "m".into(), public_url: None };
        letterhead.message(&Finding::new(Class::Test, None, "x", summary.into(), UnixMillis::new(1)))
    }

    #[tokio::test]
    async fn has_the_message_and_its_name_and_nothing_of_our_environment() {
        let dir = tempfile::tempdir().unwrap();
        let (body, env) = (dir.path().join("body"), dir.path().join("env"));
        let script = format!("cat > '{}'; env > '{}'", body.display(), env.display());
        let message = message("one");
        shell(&script, 30).send(&message).await.unwrap();
        assert_eq!(std::fs::read(body).unwrap(), message.json().unwrap());
        let env = std::fs::read_to_string(env).unwrap();
        for line in [format!("ATL_ALERT_ID={}", message.id()), "ATL_ALERT_SEVERITY=info".into()] {
            assert!(env.lines().any(|had| had == line), "{line}: {env}");
        }
        // The shell adds some of its own.
        let own = ["PWD", "OLDPWD", "SHLVL", "_"];
        let names = env.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
        let mut foreign = names.filter(|name| !name.starts_with("ATL_ALERT_") && !INHERITED.contains(name));
        assert_eq!(foreign.find(|name| !own.contains(name)), None, "{env}");
    }

    #[tokio::test]
    async fn says_yes_with_zero_only_and_says_why_not() {
        let failed =
            shell("cat > /dev/null; printf 'no \\033[2J' >&2; exit 3", 30).send(&message("x")).await.unwrap_err();
        assert_eq!(failed, SinkError::trouble("/bin/sh ended with 3: no \\u{1b}[2J"));
        let missing = CommandSink::open(&CommandConfig {
            program: "/no/such/program".into(),
            args: vec![],
            timeout: Duration::from_secs(1),
        });
        let error = missing.send(&message("x")).await.unwrap_err();
        assert!(error.message.contains("/no/such/program does not start") && !error.refused, "{error}");
    }

    #[tokio::test]
    async fn output_and_input_without_end_stop_nothing() {
        // More than a pipe holds, in both directions: it reads nothing and writes much.
        let big = message(&"x".repeat(1 << 20));
        let error = shell("head -c 1000000 /dev/zero | tr '\\0' a >&2; exit 1", 30).send(&big).await.unwrap_err();
        assert!(error.message.len() < 400 && error.message.contains("aaa..."), "{error}");
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_killed_with_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let script = format!("sleep 1000 > '{}' & wait", pipe.display());
        // Reading ends when nobody is left who could write.
        let gone = tokio::task::spawn_blocking(move || std::fs::read(pipe));
        let error = shell(&script, 1).send(&message("x")).await.unwrap_err();
        assert!(error.message.contains("did not end within 1 s"), "{error}");
        assert_eq!(timeout(Duration::from_secs(60), gone).await.unwrap().unwrap().unwrap(), b"");
    }
}
