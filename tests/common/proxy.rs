//! A proxy that alters answers on their way, as a log that lies would.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Starts a proxy in front of `log`, which runs as long as the process. `alter` gets the path and
/// the body of each answer. Every third request is turned away first, with `Retry-After`.
pub fn start(log: SocketAddr, alter: impl Fn(&str, &mut Vec<u8>) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (alter, count) = (Arc::new(alter), AtomicUsize::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (alter, refuse) = (Arc::clone(&alter), count.fetch_add(1, Ordering::Relaxed) % 3 == 1);
            std::thread::spawn(move || answer(stream.unwrap(), log, &*alter, refuse));
        }
    });
    url
}

fn answer(mut client: TcpStream, log: SocketAddr, alter: &(dyn Fn(&str, &mut Vec<u8>) + Send + Sync), refuse: bool) {
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut octet).unwrap_or(0) == 0 {
            return;
        }
        head.push(octet[0]);
    }
    let path = String::from_utf8(head).unwrap().split(' ').nth(1).unwrap().to_owned();
    if refuse {
        let text = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let _ = client.write_all(text.as_bytes());
        return;
    }
    let mut upstream = TcpStream::connect(log).unwrap();
    write!(upstream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let mut body = answer.split_off(end);
    let status = String::from_utf8(answer).unwrap().split(' ').nth(1).unwrap().to_owned();
    alter(&path, &mut body);
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = client.write_all(head.as_bytes()).and_then(|()| client.write_all(&body));
}
