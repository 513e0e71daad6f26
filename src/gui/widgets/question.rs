//! A question that is answered before anything else happens.

use eframe::egui::{Context, Id, Modal, RichText, Ui};

/// Width of a question in points, where the window has room for it.
const WIDTH: f32 = 440.0;

/// An answer that can be given.
#[derive(Clone, Debug)]
pub(in crate::gui) struct Reply<'a, T> {
    /// The button's text.
    pub(in crate::gui) label: &'a str,
    /// What it does, on hover; empty: the label says it.
    pub(in crate::gui) hover: &'a str,
    /// What is returned.
    pub(in crate::gui) means: T,
}

impl<'a, T> Reply<'a, T> {
    /// A button without an explanation.
    pub(in crate::gui) fn new(label: &'a str, means: T) -> Self {
        Self { label, hover: "", means }
    }
}

/// Draws a window over the darkened panel. The second value is true where Escape or a click beside it closes it.
pub(in crate::gui) fn modal<R>(ctx: &Context, id: &str, contents: impl FnOnce(&mut Ui) -> R) -> (R, bool) {
    let modal = Modal::new(Id::unique(id)).show(ctx, |ui| {
        ui.set_max_width(WIDTH.min(ctx.content_rect().width() - 60.0));
        contents(ui)
    });
    let close = modal.should_close();
    (modal.inner, close)
}

/// Asks: a heading, a sentence, a button for each reply. Returns the reply of a pressed button; Escape and a click beside the
/// question give the last one, which therefore is the harmless one.
pub(in crate::gui) fn question<T: Clone>(ctx: &Context, id: &str, (heading, text): (&str, &str), replies: &[Reply<'_, T>]) -> Option<T> {
    let (pressed, close) = modal(ctx, id, |ui| {
        ui.label(RichText::new(heading).heading());
        ui.label(text);
        ui.add_space(8.0);
        let mut pressed = None;
        ui.horizontal_wrapped(|ui| {
            for reply in replies {
                let button = ui.button(reply.label);
                let button = if reply.hover.is_empty() { button } else { button.on_hover_text(reply.hover) };
                if button.clicked() {
                    pressed = Some(reply.means.clone());
                }
            }
        });
        pressed
    });
    pressed.or_else(|| replies.last().filter(|_| close).map(|reply| reply.means.clone()))
}
