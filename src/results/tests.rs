//! Tests of the result folder: modes, names, races, and what is left after a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn files_appear_under_the_target_when_complete_and_are_private() {
    let home = tempfile::tempdir().unwrap();
    let target = home.path().join("runs/vip/20261123T061200Z");
    let folder = ResultFolder::create(&target).unwrap();
    folder.file("report.json", b"{}").unwrap();
    assert!(!target.exists());
    assert_eq!(folder.path().parent(), target.parent());
    let partial = folder.path().file_name().unwrap().to_str().unwrap().to_owned();
    assert!(partial.starts_with(".20261123T061200Z.partial-"), "{partial}");

    assert_eq!(folder.finish().unwrap(), target);
    assert_eq!(std::fs::read(target.join("report.json")).unwrap(), b"{}");
    assert_eq!(names(target.parent().unwrap()), ["20261123T061200Z".to_owned()].into());
    assert_eq!(mode(&target.join("report.json")), 0o600);
    for folder in [&target, target.parent().unwrap(), &home.path().join("runs")] {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
}

#[test]
fn an_existing_target_of_any_kind_is_never_touched() {
    let home = tempfile::tempdir().unwrap();
    let target = home.path().join("run");
    std::fs::create_dir(&target).unwrap(); // empty: a plain rename would replace it
    std::fs::write(home.path().join("run-2"), "a file").unwrap();
    std::os::unix::fs::symlink("nowhere", home.path().join("run-3")).unwrap();
    let folder = ResultFolder::create(&target).unwrap();
    folder.file("report.txt", b"new").unwrap();
    assert_eq!(folder.finish().unwrap(), home.path().join("run-4"));
    assert_eq!(names(&target), BTreeSet::new());
    assert_eq!(std::fs::read(home.path().join("run-2")).unwrap(), b"a file");

    // The same without the system call that does it in one step.
    let folder = ResultFolder::create(&target).unwrap();
    for taken in ["run", "run-2", "run-3", "run-4"] {
        assert_eq!(claim_and_rename(folder.path(), &home.path().join(taken)).unwrap_err().kind(), ErrorKind::AlreadyExists, "{taken}");
    }
    claim_and_rename(folder.path(), &home.path().join("run-5")).unwrap();
    assert_eq!(names(home.path()).len(), 5);
}

#[test]
fn runs_that_end_at_once_get_folders_of_their_own() {
    let home = tempfile::tempdir().unwrap();
    let target = home.path().join("run");
    let finish = |number: u8| {
        let folder = ResultFolder::create(&target).unwrap();
        folder.file("number", &[number]).unwrap();
        folder.finish().unwrap()
    };
    let folders: Vec<PathBuf> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..16).map(|number| scope.spawn(move || finish(number))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for (number, folder) in folders.iter().enumerate() {
        assert_eq!(std::fs::read(folder.join("number")).unwrap(), [number as u8]);
    }
    assert_eq!(folders.iter().collect::<BTreeSet<_>>().len(), 16);
    assert!(names(home.path()).contains("run-16"));
}

#[test]
fn nothing_is_left_of_a_run_that_did_not_finish() {
    let home = tempfile::tempdir().unwrap();
    let folder = ResultFolder::create(&home.path().join("run")).unwrap();
    folder.file("model.json", b"{}").unwrap();
    drop(folder);
    assert_eq!(names(home.path()), BTreeSet::new());
}

#[test]
fn names_that_could_leave_the_folder_or_hide_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let folder = ResultFolder::create(&home.path().join("run")).unwrap();
    for name in ["", ".", "..", "a/b", "/etc/x", "../x", ".hidden", "a b", "ä.txt", "nul\0", &"x".repeat(101)] {
        assert_eq!(folder.file(name, b"x").unwrap_err().id, 712, "{name:?}");
    }
    folder.file("report.html", b"once").unwrap();
    assert_eq!(folder.file("report.html", b"twice").unwrap_err().id, 712);
    assert_eq!(std::fs::read(folder.path().join("report.html")).unwrap(), b"once");
}

#[test]
fn what_the_system_refuses_names_the_path_and_the_remedy() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    for target in [file.join("run"), file.join("a/run")] {
        let failure = ResultFolder::create(&target).unwrap_err();
        assert_eq!((failure.exit, failure.id), (Exit::Usage, 710), "{failure}");
        assert!(failure.place.unwrap().starts_with(file.to_str().unwrap()));
    }
    for target in ["/", "..", "a/..", ""] {
        assert_eq!(ResultFolder::create(Path::new(target)).unwrap_err().exit, Exit::Usage, "{target:?}");
    }
    // A device whose every write says that the disk is full.
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap().write_all(b"x").unwrap_err();
    let failure = failed("written", Path::new("runs/report.html"), &full);
    assert_eq!((failure.exit, failure.id), (Exit::Internal, 711));
    assert!(failure.what.contains("no space"), "{failure}");
    assert_eq!(failure.place.as_deref(), Some("runs/report.html"));
    let failure = ResultFolder::create(Path::new("/proc/colift-cannot/run")).unwrap_err();
    assert_eq!((failure.exit, failure.id), (Exit::Internal, 711), "{failure}");
}

#[test]
fn a_folder_that_vanished_is_a_failure_and_leaves_no_target() {
    let home = tempfile::tempdir().unwrap();
    let folder = ResultFolder::create(&home.path().join("run")).unwrap();
    std::fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(folder.file("report.txt", b"x").unwrap_err().id, 711);
    assert_eq!(folder.finish().unwrap_err().id, 711);
    assert_eq!(names(home.path()), BTreeSet::new());
}

#[test]
fn private_files_are_replaced_in_one_step() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("state.json");
    write_private(&path, b"one").unwrap();
    write_private(&path, b"two").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(write_private(&path.join("below"), b"x").unwrap_err().exit, Exit::Usage);
    assert_eq!(write_private(home.path(), b"x").unwrap_err().exit, Exit::Internal, "a folder is not replaced");
    assert_eq!(names(home.path()), ["state.json".to_owned()].into());
}

#[test]
fn the_default_target_carries_the_second_in_utc() {
    let now: Timestamp = "2026-11-23T07:12:00.9+01:00".parse().unwrap();
    assert_eq!(default_target("vip-2026-11", now), Path::new("colift-runs/vip-2026-11/20261123T061200Z"));
}
