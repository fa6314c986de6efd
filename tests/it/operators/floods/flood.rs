//! Clients that never stop.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use super::CONNECTIONS;

/// Keep-alive connections that ask on and on.
pub struct Flood {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

impl Flood {
    /// Each connection repeats its own targets.
    pub async fn of(lnurl: SocketAddr, targets: Vec<Vec<String>>) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let mut tasks = Vec::new();
        for targets in targets {
            let stream = TcpStream::connect(lnurl).await.unwrap();
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            tasks.push(tokio::spawn(ask(stream, targets, stop, answered)));
        }
        let flood = Self { stop, answered, tasks };
        flood.start().await;
        flood
    }

    /// Until every connection has been answered a few times more.
    pub async fn start(&self) {
        let so_far = self.answered.load(Ordering::SeqCst);
        let patience = Instant::now() + Duration::from_secs(20);
        while self.answered.load(Ordering::SeqCst) < so_far + 4 * CONNECTIONS {
            assert!(Instant::now() < patience, "the flood is not answered");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub async fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

async fn ask(
    mut stream: TcpStream,
    targets: Vec<String>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
) {
    for target in targets.iter().cycle() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await.unwrap();
            assert!(read > 0, "hung up on");
            answer.extend_from_slice(&bytes[..read]);
        }
        answered.fetch_add(1, Ordering::SeqCst);
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    body.len() >= length.unwrap_or_else(|| panic!("no length: {head}"))
}
