//! The doctor's examination of the machine the tests run on.

use std::process::Command;

use simtrot::doctor::{DoctorReport, Isolation, Verdict, examine};

/// Every adapter is held against the CPU, and the CPU against finite differences.
#[test]
fn every_device_of_this_machine_computes_what_the_cpu_does() {
    let report = examine(&Isolation::Thread);
    println!("{report}");
    assert_eq!(report.listing_problem, None);
    assert_eq!(report.devices.len(), 1 + report.adapters.len());
    if std::env::var("SIMTROT_REQUIRE_GPU").as_deref() == Ok("1") {
        assert!(!report.adapters.is_empty(), "SIMTROT_REQUIRE_GPU=1, but there is no adapter");
    }
    for device in &report.devices {
        assert_eq!(device.verdict, Verdict::Works, "{device:?}");
        assert!(!device.operations.is_empty(), "{device:?}");
        assert!(device.speed.is_some_and(|speed| speed.gflops().iter().all(|&gflops| gflops > 0.0 && gflops.is_finite())), "{device:?}");
        assert!(device.training.as_ref().is_some_and(|training| training.networks[0].fits), "{device:?}");
    }
    assert!(report.is_fit());

    let json = serde_json::to_string(&report).expect("a report is JSON");
    let back: DoctorReport = serde_json::from_str(&json).expect("and comes back");
    assert_eq!(back.to_string(), report.to_string());
}

/// Looking at the adapters loads the graphics drivers, which look for a session of Wayland in the runtime folder.
#[test]
fn a_terminal_without_a_runtime_folder_shows_no_complaint_about_it() {
    let cache = tempfile::tempdir().unwrap();
    for runtime in [None, Some("relative")] {
        let mut doctor = Command::new(env!("CARGO_BIN_EXE_simtrot"));
        doctor.args(["--no-gui", "doctor"]).env("SIMTROT_CACHE", cache.path()).env_remove("XDG_RUNTIME_DIR");
        doctor.envs(runtime.map(|folder| ("XDG_RUNTIME_DIR", folder)));
        let output = doctor.output().expect("the program starts");
        let [text, complaints] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert!(output.status.success() && text.starts_with("simtrot "), "{text}{complaints}");
        assert!(!complaints.contains("XDG_RUNTIME_DIR"), "{complaints}");
    }
}

/// The demo's config on two devices, two steps, then one more on one device.
#[test]
fn a_training_on_two_devices_is_recorded_as_such_and_goes_on_on_one() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let call = |devices: &[&str], command: &str, more: &[&str]| {
        let mut call = Command::new(env!("CARGO_BIN_EXE_simtrot"));
        call.arg("--no-gui").args(devices).arg(command).args(more).env("SIMTROT_CACHE", std::env::temp_dir().join("simtrot-test-cache"));
        call
    };
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/demo.ron");
    let place = out.to_str().unwrap();
    let few = [config, "--out", place, "--set", "data.label_fraction=0.3"];
    let beside = || {
        let text = std::fs::read(crate::training(&out, "").join("environment.json")).unwrap();
        let environment: serde_json::Value = serde_json::from_slice(&text).unwrap();
        environment.get("beside").map(|beside| beside.as_array().unwrap().len())
    };
    let two = ["--devices", "cpu,cpu"];
    let odd = [&few[..], &["--set", "finetune.batch=3"]].concat();
    crate::refused(call(&two, "finetune", &odd), 2, &["finetune.batch is 3", "--set finetune.batch=4"]);
    crate::refused(call(&two, "plan", &[&odd[..], &["--dry-run"]].concat()), 2, &["finetune.batch is 3"]);
    crate::refused(call(&two, "check", &["demo"]), 2, &["--devices is for what trains"]);
    crate::refused(call(&["--device", "cpu", "--devices", "cpu,cpu"], "demo", &[]), 2, &["leave --device away"]);

    let told = crate::succeed(call(&two, "finetune", &[&few[..], &["--max-steps", "2"]].concat()));
    assert!(told.contains("shared out among 2 devices"), "{told}");
    assert_eq!(beside(), Some(1));
    let told = crate::succeed(call(&["--device", "cpu"], "finetune", &[&few[..], &["--max-steps", "1", "--resume"]].concat()));
    assert!(!told.contains("shared out"), "{told}");
    assert_eq!(beside(), None);
}
