//! nginx as Debian packages it, with the configuration of this repository.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::disallowed_methods, reason = "deadlines of tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use rustix::process::{Pid, Signal, kill_process};

/// Where Debian has it, which is in nobody's PATH but root's.
const PROGRAM: &str = "/usr/sbin/nginx";
/// The sample that is tested.
pub const SAMPLE: &str = include_str!("../../config/nginx-gateway.conf");
/// The host that it guards.
pub const HOST: &str = "api.bank.example.com";

/// An nginx that serves; stopped when dropped.
pub struct Nginx {
    child: Child,
    dir: PathBuf,
}

impl Nginx {
    /// Serves the sample in `dir`, in front of this gateway (`127.0.0.1:port`, or `unix:path`) and this API.
    pub fn start(dir: &Path, gateway: &str, api: &str) -> Self {
        assert!(Path::new(PROGRAM).exists(), "{PROGRAM} is not there: `make deps` installs it (Debian's nginx-light)");
        fs::create_dir_all(dir).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new([HOST.to_owned()]).unwrap().self_signed(&key).unwrap();
        fs::write(dir.join("tls.pem"), own.pem()).unwrap();
        fs::write(dir.join("tls-key.pem"), key.serialize_pem()).unwrap();
        let place = |name: &str| dir.join(name).display().to_string();
        let changes = [
            ("server 127.0.0.1:8446;", format!("server {gateway};")),
            ("server 127.0.0.1:8000;", format!("server {api};")),
            ("listen 443 ssl;", format!("listen unix:{} ssl;", place("api.sock"))),
            ("/etc/ssl/api.bank.example.com/fullchain.pem", place("tls.pem")),
            ("/etc/ssl/api.bank.example.com/privkey.pem", place("tls-key.pem")),
        ];
        let mut site = SAMPLE.to_owned();
        for (what, with) in changes {
            assert_eq!(site.matches(what).count(), 1, "{what}");
            site = site.replace(what, &with);
        }
        fs::write(dir.join("site.conf"), site).unwrap();
        // Workers of root's nginx would be somebody who may not look into the test's directory.
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String = temporary.iter().map(|n| format!("{n}_temp_path {};", place(n))).collect();
        let text = format!(
            "{user}\ndaemon off;\nworker_processes 2;\npid {};\nerror_log stderr info;\nevents {{}}\n\
            http {{ access_log off; {temporary}\ninclude {}; }}\n",
            place("pid"),
            place("site.conf"),
        );
        fs::write(dir.join("nginx.conf"), text).unwrap();
        let stderr = fs::File::create(dir.join("stderr")).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["-e", "stderr", "-p"]).arg(dir).arg("-c").arg(dir.join("nginx.conf"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        let mut nginx = Self { child, dir: dir.to_owned() };
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::os::unix::net::UnixStream::connect(nginx.socket()).is_err() {
            let ended = nginx.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "nginx does not start: {}", nginx.stderr());
            std::thread::sleep(Duration::from_millis(10));
        }
        nginx
    }

    /// Lets it read its configuration again, without waiting for that.
    pub fn reload(&self) {
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("api.sock")
    }

    /// What it has said.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.dir.join("stderr")).unwrap()
    }

    /// curl over TLS to it, with these arguments.
    pub fn curl(&self, path: &str, arguments: &[&str]) -> Reply {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--include", "--max-time", "60", "--path-as-is", "--unix-socket"]);
        command.arg(self.socket()).arg("--cacert").arg(self.dir.join("tls.pem")).args(arguments);
        let output = command.arg(format!("https://{HOST}{path}")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = || format!("{text}{}{}", String::from_utf8_lossy(&output.stderr), self.stderr());
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{}", said()));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head: head.to_owned(), body: body.to_owned() }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it; killed, it would leave them behind.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// What a client got.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Reply {
    /// A header, empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")));
        line.map_or("", |line| line.split_once(": ").unwrap().1)
    }

    /// Status and reasons, which a problem document repeats.
    #[track_caller]
    pub fn outcome(&self) -> (u16, &str) {
        let reason = self.header("x-agent-reason");
        if self.status != 200 {
            let problem: serde_json::Value =
                serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"));
            assert_eq!(
                (problem["status"].as_u64(), problem["detail"].as_str()),
                (Some(self.status.into()), Some(reason))
            );
            assert_eq!(self.header("content-type"), "application/problem+json");
        }
        (self.status, reason)
    }
}
