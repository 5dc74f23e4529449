//! `harness test`: all that is promised of the mesh.

use tests::Mesh;

#[tokio::test]
async fn every_scenario_holds_on_a_mesh_of_its_own_beside_another() {
    let other = Mesh::prepare().await.unwrap();
    let up = other.harness(&["up", "--detach"]).await.unwrap();
    assert_eq!(up.code, Some(0), "{up:#?}");

    let result = other.test().await.unwrap();
    assert_eq!(result.code, Some(0), "{result:#?}");
    assert!(result.output.contains("All 6 scenarios held."), "{result:#?}");
    for figure in [
        "last container started -> all instances answer",
        "failed during a graceful stop",
        "resident memory",
    ] {
        assert!(
            result.output.contains(figure),
            "no figure `{figure}`: {result:#?}"
        );
    }
    assert!(result.errors.contains("removing: nothing is left"), "{result:#?}");

    let status = other.harness(&["status"]).await.unwrap();
    assert_eq!(
        status.code,
        Some(0),
        "the mesh beside it was touched: {status:#?}"
    );
    let down = other.harness(&["down"]).await.unwrap();
    assert_eq!(down.code, Some(0), "{down:#?}");
    assert_eq!(other.leftovers().await.unwrap(), Vec::<String>::new());
}
