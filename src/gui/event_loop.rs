//! The window's event loop: eframe's, with one wheel event for one notch of the wheel.
//!
//! On X11 a wheel without a smooth axis (remote desktops, virtual displays) is a button, and winit makes a wheel event of its press
//! and another of its release. The raw events of the device, which come before those of the window, tell the two apart.

use std::cell::Cell;

use eframe::{AppCreator, EframeWinitApplication, NativeOptions, UserEvent};
use winit::application::ApplicationHandler;
use winit::event::{DeviceEvent, DeviceId, ElementState, MouseScrollDelta, StartCause, WindowEvent};
use winit::event_loop::{ActiveEventLoop, DeviceEvents, EventLoop};
use winit::platform::run_on_demand::EventLoopExtRunOnDemand as _;
use winit::window::WindowId;

/// As [`eframe::run_native`].
///
/// # Errors
/// No display, or nothing that draws on it.
pub(super) fn run_native(name: &str, options: NativeOptions, create: AppCreator<'_>) -> eframe::Result {
    let mut event_loop = EventLoop::<UserEvent>::with_user_event().build()?;
    let created = Cell::new(false);
    let create: AppCreator<'_> = Box::new(|context| {
        created.set(true);
        create(context)
    });
    let app = eframe::create_native(name, options, create, &event_loop);
    event_loop.run_app_on_demand(&mut Notches { app, wheel: ButtonWheel::default() })?;
    if created.get() {
        return Ok(());
    }
    // eframe keeps its cause to itself.
    let cause = "no adapter draws the window, or its driver refused; `simtrot doctor` lists adapters and drivers";
    Err(eframe::Error::AppCreation(Box::from(cause)))
}

/// What was last heard of the buttons that are wheels, 4 to 7.
#[derive(Default)]
struct ButtonWheel {
    released: [bool; 4],
}

impl ButtonWheel {
    fn hear(&mut self, button: u32, state: ElementState) {
        if let Some(released) = button.checked_sub(4).and_then(|wheel| self.released.get_mut(wheel as usize)) {
            *released = state == ElementState::Released;
        }
    }

    /// Whether a wheel event is the release of a notch whose press was one already.
    fn is_release(&mut self, delta: MouseScrollDelta) -> bool {
        let MouseScrollDelta::LineDelta(right, up) = delta else { return false };
        let ways = [(0.0, 1.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0)];
        let wheel = ways.iter().position(|&way| way == (right, up));
        wheel.is_some_and(|wheel| std::mem::take(&mut self.released[wheel]))
    }
}

/// Lets all events through to the window but the second of each notch.
struct Notches<'a> {
    app: EframeWinitApplication<'a>,
    wheel: ButtonWheel,
}

#[cfg(all(unix, not(target_os = "macos")))]
fn is_x11(event_loop: &ActiveEventLoop) -> bool {
    winit::platform::x11::ActiveEventLoopExtX11::is_x11(event_loop)
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
fn is_x11(_: &ActiveEventLoop) -> bool {
    false
}

impl ApplicationHandler<UserEvent> for Notches<'_> {
    fn new_events(&mut self, event_loop: &ActiveEventLoop, cause: StartCause) {
        if cause == StartCause::Init && is_x11(event_loop) {
            // The wheel turns a window under the pointer that has no focus, too.
            event_loop.listen_device_events(DeviceEvents::Always);
        }
        self.app.new_events(event_loop, cause);
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, window: WindowId, event: WindowEvent) {
        let second = matches!(event, WindowEvent::MouseWheel { delta, .. } if self.wheel.is_release(delta));
        if !second {
            self.app.window_event(event_loop, window, event);
        }
    }

    fn device_event(&mut self, event_loop: &ActiveEventLoop, device: DeviceId, event: DeviceEvent) {
        match event {
            DeviceEvent::Button { button, state } if is_x11(event_loop) => self.wheel.hear(button, state),
            event => self.app.device_event(event_loop, device, event),
        }
    }

    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        self.app.resumed(event_loop);
    }

    fn user_event(&mut self, event_loop: &ActiveEventLoop, event: UserEvent) {
        self.app.user_event(event_loop, event);
    }

    fn about_to_wait(&mut self, event_loop: &ActiveEventLoop) {
        self.app.about_to_wait(event_loop);
    }

    fn suspended(&mut self, event_loop: &ActiveEventLoop) {
        self.app.suspended(event_loop);
    }

    fn exiting(&mut self, event_loop: &ActiveEventLoop) {
        self.app.exiting(event_loop);
    }

    fn memory_warning(&mut self, event_loop: &ActiveEventLoop) {
        self.app.memory_warning(event_loop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_of_a_wheel_button_is_no_second_notch() {
        let up = MouseScrollDelta::LineDelta(0.0, 1.0);
        let mut wheel = ButtonWheel::default();
        let mut heard = Vec::new();
        for _ in 0..3 {
            for state in [ElementState::Pressed, ElementState::Released] {
                wheel.hear(4, state);
                heard.push(!wheel.is_release(up));
            }
        }
        assert_eq!(heard, [true, false, true, false, true, false]);
        // A wheel with an axis has no buttons, and a turn over another window leaves nothing behind.
        assert!(!wheel.is_release(up) && !wheel.is_release(up));
        wheel.hear(4, ElementState::Released);
        wheel.hear(4, ElementState::Pressed);
        assert!(!wheel.is_release(up) && !wheel.is_release(MouseScrollDelta::LineDelta(0.0, 0.25)));
        // The left button is no wheel.
        wheel.hear(1, ElementState::Released);
        assert!(!wheel.is_release(MouseScrollDelta::LineDelta(0.0, -1.0)));
    }
}
