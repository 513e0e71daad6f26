//! The kernels in the shading languages of systems that the tests do not run on: naga must make HLSL (DirectX 12) and MSL (Metal) of
//! the WGSL that CubeCL writes, in float32 and, where a kernel takes it, in float16, within the limits that every adapter has.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use burn::tensor::{Device, Int, Tensor};
use burn_cubecl::cubecl::config::compilation::CompilationLogLevel;
use burn_cubecl::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig as _};
use include_dir::{Dir, include_dir};
use naga::AddressSpace;
use naga::back::hlsl::ShaderModel;
use naga::valid::Capabilities;

use super::{draw, half_outcome, has_half, outcome};
use crate::device::{for_tests, require_half, wait};
use crate::kernels::cases::cases;
use crate::kernels::{
    AdamW, Pairs, ParameterStep, Sgd, class_gradient, class_sums, clipping, contrast_gradient, contrast_rows, moving_average,
};

/// Says in the environment of the process where it logs the kernels.
const LOG: &str = "SIMTROT_KERNEL_LOG";

static SOURCES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/kernels/gpu");

/// Names of the kernels, from the sources, and whether they take float16 too.
fn kernels(sources: &Dir<'_>) -> BTreeMap<String, bool> {
    let texts = sources.files().filter_map(|file| file.contents_utf8());
    let heads = texts.flat_map(|text| text.split("#[cube(launch)]").skip(1)).filter_map(|function| function.split(" {\n").next());
    let kernel = |head: &str| Some((head.split("fn ").nth(1)?.split(['<', '(']).next()?.to_owned(), head.contains("#[define(")));
    heads.filter_map(kernel).chain(sources.dirs().flat_map(kernels)).collect()
}

/// Whether a kernel reads or writes float16.
fn is_half(source: &str) -> bool {
    source.contains("enable f16;")
}

/// Names and sources of the program's own kernels in a log of CubeCL's.
fn logged(log: &str) -> Vec<(&str, &str)> {
    let of_kernel = |text| {
        let (_, name) = str::split_once(text, "name: simtrot::")?;
        let (_, source) = text.split_once("```wgsl\n")?;
        // The function's module, before the type that CubeCL makes of it.
        let name = name.split(['<', '\n']).next()?.rsplit("::").nth(1)?;
        Some((name, source.split("\n```").next()?))
    };
    log.split("[START_KERNEL_COMPILATION]").filter_map(of_kernel).collect()
}

#[test]
#[ignore = "started by the test below, in a process of its own"]
fn every_case_runs_on_the_gpu() {
    let mut config = CubeClRuntimeConfig::default();
    let logger = &mut config.compilation.logger;
    let log = std::env::var_os(LOG).expect("where to log");
    (logger.level, logger.file) = (CompilationLogLevel::Full, Some(log.clone().into()));
    CubeClRuntimeConfig::set(config);
    for (_, device) in for_tests().into_iter().skip(1) {
        for case in cases() {
            outcome(&case.inputs, &device, &case.run);
            if require_half(&device).is_ok() && has_half(&case) {
                half_outcome(&case, &device);
            }
        }
        run_optimisers(&device);
        run_losses(&device);
        // Kernels are compiled when the device comes to them.
        wait(&device).unwrap();
    }
    wait_for(Path::new(&log));
}

/// Until the log has not grown for a while: a thread of its own writes it, which a busy machine may keep waiting.
fn wait_for(log: &Path) {
    let length = || std::fs::metadata(log).map_or(0, |file| file.len());
    let (mut before, mut still) = (length(), 0);
    while still < 10 {
        std::thread::sleep(Duration::from_millis(500));
        let now = length();
        still = if now == before { still + 1 } else { 0 };
        before = now;
    }
}

fn run_optimisers(device: &Device) {
    for count in [16, 17] {
        let x = || draw("optimiser", count, device);
        let clipping = clipping(&[x(), x()], Some(0.5));
        let sgd = || ParameterStep { rule: Sgd { lr: 0.1, momentum: 0.9, weight_decay: 0.0 }, state: [x(), x()], gradient: x() };
        Sgd::step(vec![sgd(), sgd()], Some(&clipping));
        let adam_w = ParameterStep { rule: AdamW::new(0.1, 0.0, 1), state: [x(), x(), x()], gradient: x() };
        AdamW::step(vec![adam_w], Some(&clipping));
        moving_average(vec![[x(), x()], [x(), x()]], 0.9);
    }
}

fn run_losses(device: &Device) {
    let logits = draw("logits", 2 * 3 * 5, device).reshape([2, 3, 5]);
    let labels = Tensor::<1, Int>::zeros([10], device);
    for squared in [false, true] {
        let slopes = class_sums(logits.clone(), labels.clone(), squared).narrow(1, 0, 3);
        class_gradient(logits.clone(), labels.clone(), [slopes.clone(), slopes], 1.0, squared);
    }
    for by_position in [false, true] {
        let pairs = Pairs { tokens: 2, scale: 2.0, factor: 1.0, bonus: 1.0, by_position };
        let cosines = draw("cosines", 64, device).reshape([8, 8]);
        contrast_gradient(cosines.clone(), contrast_rows(cosines, &pairs), &pairs);
    }
}

#[test]
fn naga_translates_every_kernel_to_hlsl_and_msl() {
    if for_tests().len() == 1 {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("kernels.log");
    run_cases(&log);
    let log = std::fs::read_to_string(log).unwrap();
    let logged = logged(&log);
    let half = for_tests().iter().any(|(_, device)| require_half(device).is_ok());
    if !half {
        println!("float16 is not translated: no GPU here has SHADER_F16, without which the kernels are not compiled for it");
    }
    for (kernel, takes_half) in kernels(&SOURCES) {
        for in_half in [false, true].into_iter().take(if half && takes_half { 2 } else { 1 }) {
            let found = logged.iter().any(|&(name, source)| name == kernel && is_half(source) == in_half);
            assert!(found, "no case runs {kernel} in {}", if in_half { "float16" } else { "float32" });
        }
    }
    for (name, source) in logged {
        translate(source).unwrap_or_else(|problem| panic!("{name}: {problem}\n{source}"));
    }
}

fn run_cases(log: &Path) {
    let mut child = Command::new(std::env::current_exe().expect("this program has a file"));
    child.args(["--exact", concat!(module_path!(), "::every_case_runs_on_the_gpu").split_once("::").unwrap().1]);
    let output = child.args(["--ignored", "--test-threads=1"]).env(LOG, log).stdin(Stdio::null()).output().expect("this program starts");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// The same WGSL as both languages, by the naga of each.
fn translate(source: &str) -> Result<(), String> {
    // DirectX 12 has float16 from shader model 6.2 on, and only there does wgpu offer it.
    let (capabilities, shader_models): (_, &[ShaderModel]) = if is_half(source) {
        (Capabilities::SHADER_FLOAT16, &[ShaderModel::V6_2])
    } else {
        (Capabilities::empty(), &[ShaderModel::V5_1, ShaderModel::V6_0])
    };
    let module = naga::front::wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities);
    let info = validator.validate(&module).map_err(|error| error.emit_to_string(source))?;
    keep_limits(&module)?;
    for &shader_model in shader_models {
        let of_model = |error: &dyn std::fmt::Display| format!("HLSL of shader model {}: {error}", shader_model.to_str());
        let options = naga::back::hlsl::Options { shader_model, fake_missing_bindings: true, ..Default::default() };
        let (mut hlsl, pipeline) = (String::new(), naga::back::hlsl::PipelineOptions::default());
        let mut writer = naga::back::hlsl::Writer::new(&mut hlsl, &options, &pipeline);
        let written = writer.write(&module, &info, None).map_err(|error| of_model(&error))?;
        written.entry_point_names.into_iter().try_for_each(|name| name.map(drop).map_err(|error| of_model(&error)))?;
    }
    metal::translate(source).map_err(|error| format!("MSL: {error}"))
}

/// Limits of WebGPU, which every adapter reaches: storage buffers, shared memory, units of a cube.
fn keep_limits(module: &naga::Module) -> Result<(), String> {
    let globals = || module.global_variables.iter().map(|(_, global)| global);
    let buffers = globals().filter(|global| matches!(global.space, AddressSpace::Storage { .. })).count();
    let shared = globals().filter(|global| global.space == AddressSpace::WorkGroup);
    let shared: u32 = shared.map(|global| module.types[global.ty].inner.size(module.to_ctx())).sum();
    let units: u32 = module.entry_points.iter().flat_map(|entry| entry.workgroup_size).product();
    let kept = buffers <= 8 && shared <= 32 << 10 && (1..=256).contains(&units);
    if kept { Ok(()) } else { Err(format!("{buffers} buffers, {shared} bytes of shared memory, {units} units")) }
}

mod metal {
    use naga_for_metal::back::msl::{Options, PipelineOptions, write_string};
    use naga_for_metal::front::wgsl::parse_str;
    use naga_for_metal::valid::{Capabilities, ValidationFlags, Validator};

    use super::is_half;

    pub(super) fn translate(source: &str) -> Result<(), String> {
        let capabilities = if is_half(source) { Capabilities::SHADER_FLOAT16 } else { Capabilities::empty() };
        let module = parse_str(source).map_err(|error| error.emit_to_string(source))?;
        let info = Validator::new(ValidationFlags::all(), capabilities).validate(&module);
        let info = info.map_err(|error| error.emit_to_string(source))?;
        let options = Options { lang_version: (2, 0), fake_missing_bindings: true, ..Default::default() };
        let (_, written) = write_string(&module, &info, &options, &PipelineOptions::default()).map_err(|error| error.to_string())?;
        written.entry_point_names.into_iter().try_for_each(|name| name.map(drop).map_err(|error| error.to_string()))
    }
}
