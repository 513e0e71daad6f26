//! The doctor's examination of the machine the tests run on.

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
        assert!(!device.operations.is_empty() && device.speed.is_some(), "{device:?}");
    }
    assert!(report.is_fit());

    let json = serde_json::to_string(&report).expect("a report is JSON");
    let back: DoctorReport = serde_json::from_str(&json).expect("and comes back");
    assert_eq!(back.to_string(), report.to_string());
}
