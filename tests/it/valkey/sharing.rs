//! What processes share, and what of it others can read.

use pointsman::store::responses::{PurgeFilter, ResponseStore as _};

use super::{answer, down, entry, get, key, store, store_with, up, written};
use crate::support::certs::Issuer;
use crate::support::temp::TempDir;
use crate::support::until;
use crate::support::valkey::ValkeyProcess;

#[tokio::test]
async fn what_one_process_put_another_one_finds() {
    let Some(server) = ValkeyProcess::start(&[]).await else {
        return;
    };
    let (one, two) = (store(&server.url()), store(&server.url()));
    up(&one).await;
    up(&two).await;
    assert_eq!(get(&two, 1).await, None);
    one.put(key(1), answer(&"a long answer ".repeat(500))).await;
    written(&one, 1).await;
    assert_eq!(get(&two, 1).await, Some("a long answer ".repeat(500)));
    let names = server.entries().await;
    assert_eq!(names.len(), 1);
    let left = server.says(&[b"PTTL", names[0].as_bytes()]).await.concat();
    let left: u64 = String::from_utf8(left).unwrap().parse().unwrap();
    assert!((590_000..=600_000).contains(&left), "{left}");
    let counts = two.counts();
    assert_eq!((counts.found, counts.missed), (1, 1));
    // The second time out of the memory in front.
    assert!(get(&two, 1).await.is_some());
    assert_eq!(two.counts().found, 1);
    let stats = one.server(true).await.unwrap().held.unwrap();
    assert!(stats.is_complete);
    assert_eq!(stats.entries, 1);
    assert!(stats.bytes < 1_000, "compressed: {stats:?}");
}

#[tokio::test]
async fn a_purge_takes_what_it_names_and_reaches_the_memory_of_others() {
    let Some(server) = ValkeyProcess::start(&[]).await else {
        return;
    };
    server.says(&[b"SET", b"other", b"program"]).await;
    let (one, two) = (store(&server.url()), store(&server.url()));
    up(&one).await;
    up(&two).await;
    for (number, target, scope, stored) in [
        (1, "smart", "ci", 100),
        (2, "fast", "ci", 200),
        (3, "fast", "ops", 300),
        (4, "fast", "ops", 400),
    ] {
        let entry = entry(&number.to_string(), target, scope, stored);
        one.put(key(number), entry).await;
    }
    written(&one, 4).await;
    for number in 1..=4 {
        assert!(get(&two, number).await.is_some(), "{number}");
    }
    let purge = async |target: Option<&str>, scope: Option<&str>, before| {
        let which = PurgeFilter {
            target: target.map(str::to_owned),
            scope: scope.map(str::to_owned),
            before,
        };
        one.purge(which).await.unwrap()
    };
    assert_eq!(purge(Some("fast"), Some("ci"), None).await, 1);
    assert_eq!(get(&one, 2).await, None);
    assert_eq!(get(&one, 1).await, Some("1".to_owned()));
    until("the other process to follow", async || {
        get(&two, 2).await.is_none()
    })
    .await;
    assert_eq!(get(&two, 3).await, Some("3".to_owned()));
    assert_eq!(purge(None, None, Some(400)).await, 2);
    assert_eq!(get(&one, 4).await, Some("4".to_owned()));
    assert_eq!(purge(None, None, None).await, 1);
    assert!(server.entries().await.is_empty());
    assert_eq!(server.says(&[b"GET", b"other"]).await, [b"program"]);
}

#[tokio::test]
async fn with_encryption_nothing_in_the_server_can_be_read_or_forged() {
    let Some(server) = ValkeyProcess::start(&[]).await else {
        return;
    };
    let encrypted = |byte| store_with(&server.url(), Some([byte; 32]), Vec::new());
    let (one, two, other, clear) = (
        encrypted(1),
        encrypted(1),
        encrypted(2),
        store(&server.url()),
    );
    for store in [&one, &two, &other, &clear] {
        up(store).await;
    }
    for number in 1..=5 {
        let secret = entry(
            &format!("the password of the vault is swordfish {number}"),
            "secret-target",
            "secret-client",
            7,
        );
        one.put(key(number), secret).await;
    }
    written(&one, 5).await;
    let all = server.everything().await;
    let text = String::from_utf8_lossy(&all);
    for word in [
        "swordfish",
        "password",
        "secret-",
        "0101010101",
        "0505050505",
    ] {
        assert!(!text.contains(word), "{word}");
    }
    let read = get(&two, 3).await.unwrap();
    assert_eq!(read, "the password of the vault is swordfish 3");
    assert_eq!(get(&other, 3).await, None, "another key");
    assert_eq!(get(&clear, 3).await, None, "no key");
    // Somebody who can write to the server, but has no key: a copy under another name, and an entry in the clear.
    let names = server.entries().await;
    let copied = server.says(&[b"GET", names[0].as_bytes()]).await.concat();
    for name in &names {
        server.says(&[b"SET", name.as_bytes(), &copied]).await;
    }
    let fresh = encrypted(1);
    up(&fresh).await;
    let mut read = Vec::new();
    for number in 1..=5 {
        read.extend(get(&fresh, number).await);
    }
    assert_eq!(read.len(), 1, "under its own name alone: {read:?}");
    assert_eq!(fresh.counts().broken, 4);
}

#[tokio::test]
async fn a_user_with_rights_for_the_prefix_and_a_database_of_its_own_are_enough() {
    let dir = TempDir::new();
    dir.write(
        "users.acl",
        "user default off\nuser app on >p@ss/word ~pointsman:* +get +set +getrange +pttl +strlen +scan +unlink +ping +select\n",
    );
    let Some(server) = ValkeyProcess::start_in(dir, &["--aclfile", "users.acl"]).await else {
        return;
    };
    let url = format!("redis://app:p%40ss%2Fword@127.0.0.1:{}/3", server.port());
    let one = store(&url);
    up(&one).await;
    one.put(key(1), answer("ok")).await;
    written(&one, 1).await;
    let two = store(&url);
    up(&two).await;
    assert_eq!(get(&two, 1).await, Some("ok".to_owned()));
    assert_eq!(one.purge(PurgeFilter::default()).await, Ok(1));
    let elsewhere = store(&url.replace("/3", "/4"));
    up(&elsewhere).await;
    let report = elsewhere.server(true).await.unwrap();
    assert_eq!(report.held.unwrap().entries, 0);
}

#[tokio::test]
async fn tls_is_spoken_and_certificates_are_verified() {
    let (issuer, dir) = (Issuer::new(), TempDir::new());
    issuer.server().write(&dir);
    dir.write("ca.pem", &issuer.pem());
    let options = [
        "--tls-port",
        "PORT",
        "--tls-cert-file",
        "cert.pem",
        "--tls-key-file",
        "key.pem",
        "--tls-ca-cert-file",
        "ca.pem",
        "--tls-auth-clients",
        "no",
    ];
    let Some(server) = ValkeyProcess::start_in(dir, &options).await else {
        return;
    };
    let url = format!("rediss://localhost:{}", server.port());
    let der = |issuer: &Issuer| {
        let pem = issuer.pem();
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        vec![data_encoding::BASE64.decode(body.as_bytes()).unwrap()]
    };
    let one = store_with(&url, None, der(&issuer));
    up(&one).await;
    one.put(key(1), answer("ok")).await;
    written(&one, 1).await;
    let stranger = store_with(&url, None, der(&Issuer::new()));
    until("the certificate to be refused", async || {
        stranger
            .link()
            .trouble()
            .is_some_and(|why| why.contains("TLS"))
    })
    .await;
    down(&stranger).await;
}
