//! The real binary with a real window, on a virtual display and the software adapter.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use simtrot::volume::nifti::write_volume;
use simtrot::volume::{Grid, SourceHeader, Volume};

/// How long the first events and the first frames may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Colours of a window with text, curves and controls; a blank one has one or two.
const LEAST_COLOURS: usize = 100;

/// A child that does not outlive its test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn simtrot(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simtrot"));
    command.stdin(Stdio::null()).env("HOME", home).env("XDG_CONFIG_HOME", home.join("config"));
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"] {
        command.env_remove(name);
    }
    command
}

#[test]
#[cfg(all(unix, not(target_os = "macos")))]
fn without_a_display_one_line_names_the_way_out() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("run");
    for arguments in [vec![], vec!["demo", "--out", out.to_str().unwrap()]] {
        let output = simtrot(home.path()).args(&arguments).output().expect("the program starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.lines().count() == 1 && text.contains("--no-gui"), "{text}");
    }
    assert!(!out.exists(), "no run was begun");
}

#[test]
#[cfg(all(unix, not(target_os = "macos")))]
fn view_tells_what_cannot_be_shown_before_the_window_opens() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let write = |name: &str, value: f32| {
        let grid = Grid::axis_aligned([2, 3, 4], [1.0; 3]);
        let volume = Volume { channels: 1, voxels: vec![value; grid.len()], grid: grid.clone() };
        write_volume(&at(name), &volume, &SourceHeader::for_grid(&grid)).unwrap();
    };
    write("image.nii.gz", 7.5);
    write("labels.nii.gz", 7.0);
    std::fs::write(at("cut.nii.gz"), &std::fs::read(at("image.nii.gz")).unwrap()[..60]).unwrap();
    let view = |arguments: &[&str]| {
        let output = simtrot(home.path()).arg("view").args(arguments.iter().map(|name| at(name))).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let missing = view(&["gone.nii.gz"]);
    assert!(missing.contains("gone.nii.gz") && missing.contains("no such file"), "{missing}");
    let several = view(&["cut.nii.gz", "labels.nii.gz", "image.nii.gz"]);
    assert!(several.contains("cut.nii.gz") && several.contains("image.nii.gz") && several.contains("7.5"), "{several}");
    assert!(!several.contains("labels.nii.gz"), "{several}");
    // All is well but for the display.
    let shown = view(&["image.nii.gz", "labels.nii.gz"]);
    assert!(shown.lines().count() == 1 && shown.contains("DISPLAY"), "{shown}");
}

/// The screen as Xvfb keeps it: a file in the format of xwd(1), all header fields big-endian, 32 bits a pixel.
fn screen(file: &Path) -> Option<(u32, u32, Vec<u8>)> {
    let bytes = std::fs::read(file).ok()?;
    let field = |index: usize| Some(u32::from_be_bytes(bytes.get(index * 4..index * 4 + 4)?.try_into().ok()?));
    let (header, width, height, bits, line, colours) = (field(0)?, field(4)?, field(5)?, field(11)?, field(12)?, field(19)?);
    assert_eq!(bits, 32, "Xvfb was asked for 24 bit colour");
    let first = (header + colours * 12) as usize;
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    for row in bytes.get(first..)?.chunks_exact(line as usize).take(height as usize) {
        for pixel in row.chunks_exact(4).take(width as usize) {
            rgb.extend([pixel[2], pixel[1], pixel[0]]);
        }
    }
    Some((width, height, rgb))
}

fn colours(rgb: &[u8]) -> usize {
    let mut colours: Vec<&[u8]> = rgb.chunks_exact(3).collect();
    colours.sort_unstable();
    colours.dedup();
    colours.len()
}

#[test]
#[cfg(all(unix, not(target_os = "macos")))]
fn the_window_opens_on_the_demo_and_follows_it() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["-displayfd", "1", "-screen", "0", "1440x900x24", "-nolisten", "tcp", "-fbdir"];
    let display = Command::new("Xvfb").args(arguments).arg(folder.path()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut display = match display {
        Ok(display) => Ends(display),
        Err(error) => {
            assert!(std::env::var("SIMTROT_REQUIRE_GPU").as_deref() != Ok("1"), "Xvfb does not start ({error}), and SIMTROT_REQUIRE_GPU=1");
            println!("skipped: Xvfb does not start ({error})");
            return;
        }
    };
    let mut number = String::new();
    BufReader::new(display.0.stdout.take().expect("piped")).read_line(&mut number).expect("Xvfb tells its display");
    let out = folder.path().join("run");
    let window = simtrot(folder.path())
        .env("DISPLAY", format!(":{}", number.trim()))
        .env("SIMTROT_CACHE", std::env::temp_dir().join("simtrot-test-cache"))
        .args(["--device", "cpu", "demo", "--set", "probe.volumes=3", "--out"])
        .arg(&out)
        .stderr(Stdio::piped())
        .spawn();
    let mut window = Ends(window.expect("the program starts"));

    let file = folder.path().join("Xvfb_screen0");
    let began = Instant::now();
    let (width, height, rgb) = loop {
        assert!(window.0.try_wait().expect("a child").is_none(), "the program ended by itself");
        let trains = std::fs::read_to_string(out.join("events.jsonl")).is_ok_and(|events| events.contains("\"kind\":\"pretrain\""));
        if let Some(screen) = screen(&file).filter(|(.., rgb)| trains && colours(rgb) >= LEAST_COLOURS) {
            break screen;
        }
        assert!(began.elapsed() < PATIENCE, "no events, or nothing drawn, after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(200));
    };
    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("window.png");
    let mut encoder = png::Encoder::new(std::fs::File::create(&picture).expect("a writable folder"), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(&rgb)).expect("a picture");
    println!("{}", picture.display());
}
