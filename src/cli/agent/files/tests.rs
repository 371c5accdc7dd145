use super::*;

fn generation(n: u8) -> Generation {
    let settings = Settings {
        ca: "https://ca.example.com".into(),
        agent: "agent://example.com/a/b/c".parse().unwrap(),
        sha256: Hex32([n; 32]),
        not_before: UnixMillis::new(1),
        not_after: UnixMillis::new(3),
        renew_at: UnixMillis::new(2),
        validity_seconds: None,
        evidence: None,
        logs: Vec::new(),
    };
    Generation {
        key_pem: Zeroizing::new(format!("key {n}")),
        chain_pem: format!("cert {n}"),
        parents_pem: n.is_multiple_of(2).then(|| format!("parents {n}")),
        root_pem: "root".into(),
        ca_roots_pem: (n > 1).then(|| "ca".into()),
        settings,
    }
}

fn pending(credential: &str) -> Pending {
    let body = EnrolRequest {
        csr: B64(vec![1]),
        evidence: None,
        capabilities: None,
        validity_seconds: Some(3600),
        principal: None,
    };
    let agent = "agent://example.com/a/b/c".parse().unwrap();
    let request =
        PendingRequest { ca: "https://ca.example.com".into(), agent, credential: credential.into(), body, terms: None };
    Pending { key_pem: Zeroizing::new("key".into()), request }
}

fn read(dir: &AgentDir, name: &str) -> String {
    fs::read_to_string(dir.path().join(name)).unwrap()
}

#[test]
fn key_and_certificate_change_together() {
    let temp = tempfile::tempdir().unwrap();
    let dir = AgentDir::create(&temp.path().join("agent")).unwrap();
    assert!(dir.current().unwrap().is_none());
    let lock = dir.lock().unwrap();
    for n in 1..=4 {
        dir.install(&lock, &generation(n)).unwrap();
        // Twice is once.
        dir.install(&lock, &generation(n)).unwrap();
        assert_eq!((read(&dir, KEY), read(&dir, CERT)), (format!("key {n}"), format!("cert {n}")));
        let current = dir.current().unwrap().unwrap();
        assert_eq!(current.settings, generation(n).settings);
        assert_eq!(current.ca_roots_pem, generation(n).ca_roots_pem);
        assert_eq!(current.parents_pem, generation(n).parents_pem);
        // There is none where nobody is above: not the one of before.
        assert_eq!(fs::read_to_string(dir.path().join(PARENTS)).ok(), generation(n).parents_pem);
        assert_eq!(fs::symlink_metadata(dir.path().join(PARENTS)).is_ok(), n.is_multiple_of(2));
        let kept = fs::read_dir(dir.path().join(GENERATIONS)).unwrap().count();
        assert_eq!(kept, usize::from(n).min(2));
    }
    use std::os::unix::fs::PermissionsExt;
    for (name, mode) in [(KEY, 0o600), (CERT, 0o644), (SETTINGS, 0o600), (".", 0o700)] {
        assert_eq!(fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
}

#[test]
fn what_a_crash_left_behind_does_no_harm() {
    let temp = tempfile::tempdir().unwrap();
    let dir = AgentDir::create(temp.path()).unwrap();
    let lock = dir.lock().unwrap();
    dir.install(&lock, &generation(1)).unwrap();
    // Half a generation; a whole one that was not put into use; a link that was not renamed.
    let name = &Hex32([2; 32]).to_string()[..32];
    let generations = dir.path().join(GENERATIONS);
    fs::create_dir(generations.join(format!(".{name}.new"))).unwrap();
    fs::write(generations.join(format!(".{name}.new")).join(KEY), "half").unwrap();
    fs::create_dir(generations.join(name)).unwrap();
    fs::write(generations.join(name).join(KEY), "of a lost run").unwrap();
    symlink("nowhere", dir.path().join(".current.new")).unwrap();
    assert_eq!((read(&dir, KEY), read(&dir, CERT)), ("key 1".into(), "cert 1".into()));
    dir.install(&lock, &generation(2)).unwrap();
    assert_eq!((read(&dir, KEY), read(&dir, CERT)), ("key 2".into(), "cert 2".into()));
    assert_eq!(fs::read_dir(&generations).unwrap().count(), 2);
}

#[test]
fn somebody_elses_files_stay() {
    let temp = tempfile::tempdir().unwrap();
    let dir = AgentDir::create(temp.path()).unwrap();
    fs::write(temp.path().join(KEY), "mine").unwrap();
    let error = dir.install(&dir.lock().unwrap(), &generation(1)).unwrap_err();
    assert!(error.to_string().contains("not from atl agent"), "{error}");
    assert_eq!(read(&dir, KEY), "mine");
    assert!(dir.current().unwrap().is_none());
}

#[test]
fn a_request_is_kept_until_it_is_dropped() {
    let temp = tempfile::tempdir().unwrap();
    let dir = AgentDir::create(temp.path()).unwrap();
    let lock = dir.lock().unwrap();
    dir.drop_pending(&lock).unwrap();
    assert!(dir.pending().unwrap().is_none());
    dir.keep_pending(&lock, &pending("token 1")).unwrap();
    dir.keep_pending(&lock, &pending("token 2")).unwrap();
    let found = dir.pending().unwrap().unwrap();
    assert_eq!((found.request, found.key_pem.as_str()), (pending("token 2").request, "key"));
    dir.drop_pending(&lock).unwrap();
    assert!(dir.pending().unwrap().is_none());
}

#[test]
fn the_same_question_with_another_key_is_the_same() {
    let one = pending("token 1").request;
    let mut two = one.clone();
    two.body.csr = B64(vec![2]);
    assert!(one.asks_the_same(&two));
    two.body.validity_seconds = None;
    assert!(!one.asks_the_same(&two));
    assert!(!one.asks_the_same(&pending("token 2").request));
}

#[test]
fn one_at_a_time() {
    let temp = tempfile::tempdir().unwrap();
    let dir = AgentDir::create(temp.path()).unwrap();
    let lock = dir.lock().unwrap();
    assert!(dir.lock().unwrap_err().to_string().contains("another atl agent"));
    drop(lock);
    dir.lock().unwrap();
}
