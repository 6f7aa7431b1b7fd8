use nix::sys::resource::{Resource, getrlimit, setrlimit};
use overlay_core::control::Daemon;
use overlay_core::protocol::{ErrorCode, LINE_MAX, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use varpd::server::CONNECTIONS_MAX;

use crate::host::{Host, create};
use crate::lines::{open, soon};

const HELLO: &[u8] = b"{\"protocol\":1,\"program\":\"test\"}\n";

async fn raw(host: &Host) -> UnixStream {
    open(&host.paths().socket(Daemon::Varpd)).await
}

async fn serves(host: &Host) {
    assert!(matches!(host.client().await.call(Request::Plugins).await, Ok(Response::Plugins(_))));
}

/// Octets that no one has chosen, the same each time (xorshift32).
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed.max(1);
    let mut octet = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        if state.is_multiple_of(16) { b'\n' } else { (state >> 8) as u8 }
    };
    (0..len).map(|_| octet()).collect()
}

#[tokio::test]
async fn any_octets_are_survived() {
    let host = Host::started().await;
    for seed in 0..50 {
        let mut stream = raw(&host).await;
        if seed % 2 == 0 {
            stream.write_all(HELLO).await.unwrap();
        }
        // A refused client may find the connection closed before it has written all.
        let _ = soon(stream.write_all(&noise(seed, 2000))).await;
        let _ = stream.shutdown().await;
        let _ = soon(stream.read_to_end(&mut Vec::new())).await;
    }
    serves(&host).await;
}

#[tokio::test]
async fn half_a_request_waits_for_the_other_half() {
    let host = Host::started().await;
    let mut client = host.client().await;
    let stream = &mut client.lines.stream;
    stream.write_all(b"{\"id\":1,\"requ").await.unwrap();
    serves(&host).await;
    stream.write_all(b"est\":\"plugins\"}\n").await.unwrap();
    assert!(matches!(client.reply().await, Ok(Response::Plugins(_))));
}

#[tokio::test]
async fn half_a_request_at_the_end_does_nothing() {
    let host = Host::started().await;
    let mut client = host.client().await;
    let whole = serde_json::to_string(&create(1)).unwrap();
    client.lines.stream.write_all(&whole.as_bytes()[..whole.len() / 2]).await.unwrap();
    client.lines.stream.shutdown().await.unwrap();
    assert!(client.lines.next::<serde_json::Value>().await.is_none());
    assert!(host.instances().await.is_empty());
}

#[tokio::test]
async fn pipelined_requests_are_answered_before_a_half_closed_connection_is() {
    let host = Host::started().await;
    let mut stream = raw(&host).await;
    stream.write_all(HELLO).await.unwrap();
    for id in 1..=100 {
        stream.write_all(format!("{{\"id\":{id},\"request\":\"plugins\"}}\n").as_bytes()).await.unwrap();
    }
    stream.shutdown().await.unwrap();
    let mut answers = String::new();
    soon(stream.read_to_string(&mut answers)).await.unwrap();
    assert_eq!(answers.lines().count(), 101);
}

#[tokio::test]
async fn an_endless_request_is_refused_and_the_client_can_read_why() {
    let host = Host::started().await;
    let mut client = host.client().await;
    let piece = vec![b'x'; LINE_MAX];
    for _ in 0..400 {
        soon(client.lines.stream.write_all(&piece)).await.unwrap();
    }
    let error = client.reply().await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Invalid);
    serves(&host).await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_not_read_from_and_harms_nobody() {
    let host = Host::started().await;
    let mut client = host.client().await;
    let requests = "{\"id\":1,\"request\":\"plugins\"}\n".repeat(1000);
    let flood = async {
        loop {
            client.lines.stream.write_all(requests.as_bytes()).await.unwrap();
        }
    };
    let others = async {
        for _ in 0..200 {
            serves(&host).await;
        }
    };
    tokio::select! {
        () = flood => {}
        () = soon(others) => {}
    }
    // What is taken from it is bounded: from some time on nothing is, however often others are served.
    let blocked = async {
        let mut refused = 0;
        while refused < 100 {
            let taken = client.lines.stream.try_write(requests.as_bytes()).is_ok();
            refused = if taken { 0 } else { refused + 1 };
            serves(&host).await;
        }
    };
    soon(blocked).await;
}

#[tokio::test]
async fn many_idle_clients_do_not_keep_another_from_being_served() {
    let both_ends = 2 * CONNECTIONS_MAX as u64 + 200;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(both_ends).min(hard), hard).unwrap();
    let host = Host::started().await;
    let mut idle = Vec::new();
    while idle.len() < 1000 {
        idle.push(raw(&host).await);
    }
    serves(&host).await;
    if hard >= both_ends {
        the_one_idle_longest_goes(&host, idle).await;
    }
}

async fn the_one_idle_longest_goes(host: &Host, mut idle: Vec<UnixStream>) {
    let mut busy = host.client().await;
    while idle.len() < CONNECTIONS_MAX {
        idle.push(raw(host).await);
        if idle.len().is_multiple_of(64) {
            assert!(busy.call(Request::Plugins).await.is_ok());
        }
    }
    serves(host).await;
    let first = soon(idle[0].read(&mut [0; 16])).await;
    assert!(matches!(first, Ok(0) | Err(_)), "{first:?}");
    assert!(busy.call(Request::Plugins).await.is_ok());
}
