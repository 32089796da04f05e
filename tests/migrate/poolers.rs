//! A real PgBouncer between: in transaction mode it is refused, in session mode it is as good as the server.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use gonogo::workers::migrate::{Database, up};
use secrecy::{ExposeSecret as _, SecretString};

use crate::ground::{Ground, Recorder, brisk, set};

struct Bouncer {
    process: Child,
    url: SecretString,
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Bouncer {
    /// None, with the reason, where the program is not installed.
    fn start(ground: &Ground, mode: &str) -> Option<Self> {
        let found = [
            "/usr/sbin/pgbouncer",
            "/usr/bin/pgbouncer",
            "/usr/local/bin/pgbouncer",
            "/opt/homebrew/bin/pgbouncer",
        ];
        let Some(program) = found.iter().find(|path| std::path::Path::new(path).exists()) else {
            println!("skipped: PgBouncer is not installed (apt-get install pgbouncer)");
            return None;
        };
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let server = url::Url::parse(ground.scratch.url("crm").expose_secret()).unwrap();
        let settings = format!(
            "[databases]\ncrm = host=127.0.0.1 port={} user=postgres password={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\npool_mode = {mode}\nunix_socket_dir =\n",
            ground.scratch.port(),
            server.password().unwrap(),
        );
        let file = ground.scratch.dir().join(format!("pgbouncer-{mode}.ini"));
        std::fs::write(&file, settings).unwrap();
        // It refuses to run as root, as the server does.
        let owner = std::fs::metadata(ground.scratch.dir().join("data")).unwrap();
        let mut command = Command::new(program);
        command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            command.uid(owner.uid()).gid(owner.gid());
        }
        let process = command.spawn().unwrap();
        let url = SecretString::from(format!("postgres://postgres@127.0.0.1:{port}/crm?sslmode=disable"));
        Some(Self { process, url })
    }

    /// Connects as soon as it listens.
    async fn connect(&self) -> Result<Database, gonogo::run::Failure> {
        for _ in 0..200 {
            match Database::connect(&self.url, "gonogo").await {
                Err(failure) if failure.what.contains("refused") => {
                    tokio::time::sleep(std::time::Duration::from_millis(25)).await;
                }
                answer => return answer,
            }
        }
        panic!("PgBouncer never listened");
    }
}

#[tokio::test]
async fn a_transaction_pooler_is_refused_and_a_session_pooler_is_not() {
    let ground = Ground::empty().await;
    for mode in ["transaction", "statement"] {
        let Some(bouncer) = Bouncer::start(&ground, mode) else { return };
        let failure = bouncer.connect().await.unwrap_err();
        assert!(failure.what.contains("there is a transaction pooler between"), "{mode}: {failure}");
        assert!(failure.next.contains("direct address"), "{failure}");
    }
    let Some(bouncer) = Bouncer::start(&ground, "session") else { return };
    let db = bouncer.connect().await.unwrap();
    let files = set(&[("1_a.up.sql", "CREATE TABLE a (id int); CREATE INDEX CONCURRENTLY i ON a (id);")]);
    let report = up(&db, &files, None, &brisk(), &Recorder::default()).await.unwrap();
    assert_eq!(report.applied, [1]);
}
