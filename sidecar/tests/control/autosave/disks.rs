//! Disks that are full, read-only or hang, and mounted files, in a mount namespace with real mounts.

use std::path::Path;
use std::process::Command;

use super::namespace::Namespace;
use super::sidecar::{SIDECAR, Sidecar, saved};

/// A directory with the file to save to.
struct Place {
    directory: tempfile::TempDir,
    namespace: Namespace,
}

impl Place {
    fn open() -> Option<Self> {
        Some(Self {
            namespace: Namespace::open()?,
            directory: tempfile::tempdir().expect("a directory"),
        })
    }

    fn run(&self, script: &str) -> String {
        self.namespace
            .run(&self.directory.path().display().to_string(), script)
    }

    fn start(&self) -> Sidecar {
        let file = self.directory.path().join("saved.conf");
        let file = file.display().to_string();
        Sidecar::start_by(self.namespace.sidecar(&["--autosave", &file]))
    }

    /// The saved commands, as seen in the namespace.
    fn saved(&self) -> Vec<String> {
        let seen = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(seen.path(), self.run("cat saved.conf")).expect("written");
        saved(seen.path())
    }
}

fn groups(names: &[&str]) -> Vec<String> {
    names
        .iter()
        .map(|name| format!("add server-groups {name}"))
        .collect()
}

/// Starts, changes and restarts a sidecar whose disk cannot be written at first.
fn survives(prepare: &str, damage: &str, mend: &str) {
    let Some(place) = Place::open() else {
        return;
    };
    place.run(prepare);
    place.start().run("add server-groups a");
    let inode = place.run("stat -c %i saved.conf");
    place.run(damage);

    let sidecar = place.start();
    assert!(
        sidecar.seen.contains("WARN") && sidecar.seen.contains("UNSAVED: cannot save to "),
        "{}",
        sidecar.seen
    );
    sidecar.await_unsaved(true);
    let answer = sidecar.answer("add server-groups b");
    assert!(
        answer.starts_with("-UNSAVED the change is made, but is lost"),
        "{answer}"
    );
    assert_eq!(
        sidecar.answer("list server-groups"),
        "*2\r\n",
        "it began with the saved file"
    );
    assert_eq!(place.saved(), groups(&["a"]), "the saved file is whole");
    assert_eq!(place.run("stat -c %i saved.conf"), inode);
    assert_eq!(
        place.run("ls"),
        place.run("ls -I '*.new'"),
        "nothing else takes room"
    );

    place.run(mend);
    sidecar.await_unsaved(false);
    assert_eq!(place.saved(), groups(&["a", "b"]), "nothing is lost");
    let log = sidecar.logged();
    assert!(log.contains("the configuration is saved again"), "{log}");
    assert!(!log.contains("cannot save to"), "a failure is logged once: {log}");
    drop(sidecar);
    assert_eq!(place.start().answer("list server-groups"), "*2\r\n");
}

const FILL: &str = "dd if=/dev/zero of=fill bs=1k 2>/dev/null || true";

#[test]
fn a_full_disk_is_no_outage() {
    survives(
        "mount -t tmpfs -o size=64k none .",
        &format!("cd $PWD; {FILL}"),
        "cd $PWD; rm fill",
    );
}

#[test]
fn a_read_only_disk_is_no_outage() {
    survives(
        "mount -t tmpfs -o size=64k none .",
        "mount -o remount,bind,ro $PWD",
        "mount -o remount,bind,rw $PWD",
    );
}

/// As a volume of one file.
#[test]
fn a_full_disk_below_a_mounted_file_is_no_outage() {
    survives(
        "mount -t tmpfs -o size=64k none .; cd $PWD; touch saved.conf; mount --bind saved.conf saved.conf",
        &format!("cd $PWD; {FILL}"),
        "cd $PWD; rm fill",
    );
}

#[test]
fn a_mounted_file_is_written_in_place() {
    let Some(place) = Place::open() else {
        return;
    };
    place.run("touch host.conf saved.conf; chmod 640 host.conf; mount --bind host.conf saved.conf");
    let sidecar = place.start();
    let said = "is written in place, with a copy beside it";
    sidecar.run("add server-groups a");
    sidecar.run("add server-groups b");
    sidecar.run("remove server-groups a");
    let log = sidecar.seen.clone() + &sidecar.logged();
    assert_eq!(log.matches(said).count(), 1, "said once: {log}");
    sidecar.await_unsaved(false);
    drop(sidecar);
    assert_eq!(place.saved(), groups(&["b"]));
    assert_eq!(saved(&place.directory.path().join("host.conf")), groups(&["b"]));
    assert_eq!(
        place.run("stat -c %a host.conf; ls"),
        "640\nhost.conf\nsaved.conf\n",
        "no copy is left"
    );
    assert_eq!(place.start().answer("list server-groups"), "*1\r\n");
}

#[test]
fn a_mounted_file_in_a_read_only_directory_is_written_without_a_copy() {
    let Some(place) = Place::open() else {
        return;
    };
    place.run(
        "mkdir d; touch host.conf d/saved.conf; mount --bind d d; mount --bind host.conf d/saved.conf; \
         mount -o remount,bind,ro d",
    );
    let file = place.directory.path().join("d/saved.conf").display().to_string();
    let sidecar = Sidecar::start_by(place.namespace.sidecar(&["--autosave", &file]));
    assert!(
        sidecar.seen.contains("no copy can be written beside it"),
        "{}",
        sidecar.seen
    );
    sidecar.run("add server-groups a");
    assert_eq!(saved(&place.directory.path().join("host.conf")), groups(&["a"]));
}

/// An editor writes a new file and renames it over the old one: the mount still shows the old one, which is lost with it.
#[test]
fn a_mounted_file_that_an_editor_replaced_is_reported() {
    let Some(place) = Place::open() else {
        return;
    };
    place.run("touch host.conf saved.conf; mount --bind host.conf saved.conf");
    let sidecar = place.start();
    sidecar.run("add server-groups a");
    place.run("cp host.conf edited; mv edited host.conf");
    let answer = sidecar.answer("add server-groups b");
    assert!(
        answer.starts_with("-UNSAVED") && answer.contains("replaced outside"),
        "{answer}"
    );
    place.run("umount saved.conf; mount --bind host.conf saved.conf");
    sidecar.await_unsaved(false);
    assert_eq!(place.saved(), groups(&["a", "b"]));
}

/// As RLIMIT_FSIZE, or a quota: the write fails in the middle.
#[test]
fn a_limit_of_file_sizes_is_no_outage() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("saved.conf").display().to_string();
    Sidecar::start(&["--autosave", &file]).run("add server-groups a");
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "ulimit -f 0; exec \"$@\"",
        "sh",
        SIDECAR,
        "--autosave",
        &file,
    ]);
    let sidecar = Sidecar::start_by(command);
    sidecar.await_unsaved(true);
    assert_eq!(sidecar.answer("list server-groups"), "*1\r\n");
    assert_eq!(saved(Path::new(&file)), groups(&["a"]));
}

#[test]
fn a_disk_that_hangs_is_no_outage() {
    let directory = tempfile::tempdir().expect("a directory");
    // The new file is a named pipe: opening it blocks until there is a reader.
    let pipe = directory.path().join("saved.conf.new");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    let file = directory.path().join("saved.conf").display().to_string();
    let mut sidecar = Sidecar::start(&["--autosave", &file]);
    assert!(
        sidecar.seen.contains("it is not written after"),
        "{}",
        sidecar.seen
    );
    sidecar.await_unsaved(true);
    assert!(sidecar.answer("add server-groups a").starts_with("-UNSAVED"));
    sidecar.stops();
}

#[test]
fn a_directory_that_is_gone_is_no_outage() {
    let parent = tempfile::tempdir().expect("a directory");
    let directory = parent.path().join("directory");
    let file = directory.join("saved.conf");
    let sidecar = Sidecar::start(&["--autosave", &file.display().to_string()]);
    sidecar.await_unsaved(true);
    assert!(sidecar.answer("add server-groups a").starts_with("-UNSAVED"));
    std::fs::create_dir(&directory).expect("a directory");
    sidecar.await_unsaved(false);
    assert_eq!(saved(&file), groups(&["a"]));
}
