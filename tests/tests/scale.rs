//! `scale` and `up --scale`: services with several containers.

#![allow(
    clippy::unwrap_used,
    reason = "a failing helper fails its test, as an assertion does"
)]

use tests::{Mesh, on_each};

const NOTHING: Vec<String> = Vec::new();

#[tokio::test]
async fn a_service_is_scaled_at_the_start_and_later() {
    on_each(async |engine| {
        let mesh = Mesh::on(engine.clone()).await.unwrap();
        let wrong = mesh.harness(&["up", "--scale", "lb=2"]).await.unwrap();
        assert_eq!(wrong.code, Some(2), "{wrong:#?}");
        assert!(
            wrong.errors.contains("`lb` cannot have several containers"),
            "{wrong:#?}"
        );

        let up = mesh
            .harness(&["up", "--detach", "--scale", "service-a2=3"])
            .await
            .unwrap();
        assert_eq!(up.code, Some(0), "{up:#?}");
        let expect = async |containers: usize, status: &str| {
            let found = mesh.harness(&["status"]).await.unwrap();
            assert_eq!(found.code, Some(0), "{found:#?}");
            assert!(found.output.contains(status), "no {status}: {found:#?}");
            let left = mesh.leftovers().await.unwrap();
            assert_eq!(left.len(), containers + 1, "{left:?}");
        };
        expect(7, "service-a2-3").await;

        for (scale, containers) in [("service-b=2", 8), ("service-a2=1", 6)] {
            let scaled = mesh.harness(&["scale", scale]).await.unwrap();
            assert_eq!(scaled.code, Some(0), "{scaled:#?}");
            expect(containers, "service-b-2").await;
        }
        let logs = mesh.harness(&["logs", "service-b"]).await.unwrap();
        for name in ["service-b-1", "service-b-2"] {
            let prefix = format!("{}-{name} |", mesh.project);
            assert!(logs.output.contains(&prefix), "no {prefix} {logs:#?}");
        }
        let down = mesh.harness(&["down"]).await.unwrap();
        assert_eq!(down.code, Some(0), "{down:#?}");
        assert_eq!(mesh.leftovers().await.unwrap(), NOTHING);
    })
    .await
    .unwrap();
}
