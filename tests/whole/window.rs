//! The real binary with a real window, on a virtual display and the software adapter.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use simtrot::volume::nifti::write_volume;
use simtrot::volume::{Grid, SourceHeader, Volume};

/// How long the first events and the first frames may take on a busy machine.
const POLL_INTERVAL: Duration = Duration::from_secs(120);

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
    // All is well but for the display; an entropy map is no label map.
    std::fs::create_dir(at("entropy")).unwrap();
    write("entropy/image.nii.gz", 0.25);
    for beside in ["labels.nii.gz", "entropy/image.nii.gz"] {
        let shown = view(&["image.nii.gz", beside]);
        assert!(shown.lines().count() == 1 && shown.contains("DISPLAY"), "{shown}");
    }
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

/// A virtual display in a folder, where Xvfb is installed, and its name.
#[cfg(all(unix, not(target_os = "macos")))]
fn display(folder: &Path) -> Option<(Ends, String)> {
    let arguments = ["-displayfd", "1", "-screen", "0", "1440x900x24", "-nolisten", "tcp", "-fbdir"];
    let display = Command::new("Xvfb").args(arguments).arg(folder).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut display = match display {
        Ok(display) => Ends(display),
        Err(error) => {
            assert!(std::env::var("SIMTROT_REQUIRE_GPU").as_deref() != Ok("1"), "Xvfb does not start ({error}), and SIMTROT_REQUIRE_GPU=1");
            println!("skipped: Xvfb does not start ({error})");
            return None;
        }
    };
    let mut number = String::new();
    BufReader::new(display.0.stdout.take().expect("piped")).read_line(&mut number).expect("Xvfb tells its display");
    Some((display, format!(":{}", number.trim())))
}

/// A window on the demo, which is made in `out`.
#[cfg(all(unix, not(target_os = "macos")))]
fn window_on_the_demo(home: &Path, display: &str, out: &Path) -> Ends {
    let window = simtrot(home)
        .env("DISPLAY", display)
        .env("SIMTROT_CACHE", std::env::temp_dir().join("simtrot-test-cache"))
        .args(["--device", "cpu", "demo", "--set", "probe.volumes=3", "--out"])
        .arg(out)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    Ends(window.expect("the program starts"))
}

/// Waits until something holds, while the program lives.
#[cfg(all(unix, not(target_os = "macos")))]
fn wait_while_it_lives<T>(window: &mut Ends, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        assert!(window.0.try_wait().expect("a child").is_none(), "the program ended by itself");
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < POLL_INTERVAL, "{what} did not come in {POLL_INTERVAL:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[cfg(all(unix, not(target_os = "macos")))]
fn steps(out: &Path) -> usize {
    crate::events(out).matches("\"event\":\"step\"").count()
}

/// Ends the program by a signal, and returns its exit code and what it said.
#[cfg(all(unix, not(target_os = "macos")))]
fn end_by(signal: &str, mut window: Ends) -> (Option<i32>, String) {
    let sent = Command::new("kill").args([signal, &window.0.id().to_string()]).status().expect("kill is there");
    assert!(sent.success());
    let mut said = String::new();
    window.0.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    (window.0.wait().expect("a child").code(), said)
}

#[test]
#[cfg(all(unix, not(target_os = "macos")))]
fn a_training_goes_on_in_the_terminal_when_the_display_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let Some((mut display, name)) = display(folder.path()) else { return };
    let out = folder.path().join("run");
    let mut window = window_on_the_demo(folder.path(), &name, &out);
    let screenshot = folder.path().join("Xvfb_screen0");
    let drawn = || screen(&screenshot).is_some_and(|(.., rgb)| colours(&rgb) >= LEAST_COLOURS);
    wait_while_it_lives(&mut window, "steps of a drawn window", || (steps(&out) >= 3 && drawn()).then_some(()));
    display.0.kill().expect("a child");
    display.0.wait().expect("a child");
    let before = steps(&out);
    wait_while_it_lives(&mut window, "further steps", || (steps(&out) >= before + 5).then_some(()));
    let (code, said) = end_by("-INT", window);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("the window is gone") && !said.contains("panicked"), "{said}");
    assert!(crate::training(&out, "pretrain-plain").join("checkpoints/last/checkpoint.json").is_file(), "{said}");
}

#[test]
#[cfg(all(unix, not(target_os = "macos")))]
fn a_window_that_is_told_to_end_saves_its_training() {
    let folder = tempfile::tempdir().unwrap();
    let Some((_display, name)) = display(folder.path()) else { return };
    for signal in ["-TERM", "-HUP"] {
        let out = folder.path().join(signal);
        let mut window = window_on_the_demo(folder.path(), &name, &out);
        wait_while_it_lives(&mut window, "steps", || (steps(&out) >= 3).then_some(()));
        let (code, said) = end_by(signal, window);
        assert_eq!(code, Some(130), "{signal}: {said}");
        assert!(said.contains("stopped and saved"), "{signal}: {said}");
        assert!(crate::training(&out, "pretrain-plain").join("checkpoints/last/checkpoint.json").is_file(), "{signal}: {said}");
    }
}

#[test]
#[cfg(all(unix, not(target_os = "macos")))]
fn the_window_opens_on_the_demo_and_follows_it() {
    let folder = tempfile::tempdir().unwrap();
    let Some((_display, name)) = display(folder.path()) else { return };
    let out = folder.path().join("run");
    let mut window = window_on_the_demo(folder.path(), &name, &out);
    let file = folder.path().join("Xvfb_screen0");
    let (width, height, rgb) = wait_while_it_lives(&mut window, "a drawn window with events", || {
        let trains = crate::events(&out).contains("\"kind\":\"pretrain\"");
        screen(&file).filter(|(.., rgb)| trains && colours(rgb) >= LEAST_COLOURS)
    });
    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("window.png");
    let mut encoder = png::Encoder::new(std::fs::File::create(&picture).expect("a writable folder"), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(&rgb)).expect("a picture");
    println!("{}", picture.display());
}
