//! The question before the window closes on a running job, and what is done on each answer.

use std::sync::atomic::Ordering;

use eframe::egui::{self, ViewportCommand};

use super::App;
use crate::gui::widgets::{Reply, modal, question};
use crate::gui::{OpenRun, Panel};
use crate::stop_signal;

/// What the answers mean.
const CHOICE: &str = "Stopping finishes the step and saves; it can be resumed later. Without a window the run goes on in the background of \
     this program until it is done.";

/// What is asked before the window closes on a running job.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    No,
    Asking,
    /// Close as soon as the job has stopped and saved.
    Stopping,
    Leaving,
    Confirmed,
}

impl App {
    /// Asks before a running job loses its window.
    pub(super) fn watch_closing(&mut self, ctx: &egui::Context) {
        let running = self.workspace.is_at_work();
        let concluding = self.workspace.runs.iter().any(OpenRun::is_writing);
        let asked = ctx.input(|input| input.viewport().close_requested());
        if self.gpu_lost.load(Ordering::Relaxed) {
            self.closing = Closing::Leaving;
            close(ctx);
            return;
        }
        if stop_signal::asked() {
            // The jobs at work know by themselves, and nobody may be there to answer a question.
            if self.closing != Closing::Confirmed {
                self.closing = Closing::Stopping;
            }
        } else if asked && self.segmentation.would_lose() {
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
            self.workspace.settings.panel = Panel::Segmentation;
            self.segmentation.ask_before_closing();
            return;
        }
        match self.closing {
            Closing::Stopping if !running && !concluding => {
                self.closing = Closing::Confirmed;
                close(ctx);
            }
            Closing::Confirmed | Closing::Leaving => {}
            _ if asked && running => {
                ctx.send_viewport_cmd(ViewportCommand::CancelClose);
                if self.closing == Closing::No {
                    self.closing = Closing::Asking;
                }
            }
            _ if asked && concluding => {
                ctx.send_viewport_cmd(ViewportCommand::CancelClose);
                self.closing = Closing::Stopping;
            }
            _ => {}
        }
    }

    pub(super) fn question(&mut self, ctx: &egui::Context) {
        if !matches!(self.closing, Closing::Asking | Closing::Stopping) {
            return;
        }
        let Some(name) = self.workspace.at_work().map(|open| open.name().to_owned()) else {
            if self.closing == Closing::Asking {
                self.closing = Closing::No;
            }
            return;
        };
        if self.closing == Closing::Stopping {
            modal(ctx, "closing", |ui| {
                ui.heading("Stopping");
                ui.horizontal(|ui| {
                    ui.spinner();
                    ui.label("What is under way is finished and saved; then the window closes.");
                });
            });
            return;
        }
        let replies = [
            Reply::new("Stop and save", Closing::Stopping),
            Reply::new("Keep running without a window", Closing::Leaving),
            Reply::new("Cancel", Closing::No),
        ];
        let Some(reply) = question(ctx, "closing", (&format!("{name} is still at work"), CHOICE), &replies) else { return };
        self.closing = reply;
        if reply == Closing::Leaving {
            close(ctx);
        } else if reply == Closing::Stopping
            && let Some(Err(trouble)) = self.workspace.at_work_mut().map(OpenRun::stop)
        {
            self.workspace.trouble(trouble);
        }
    }
}

/// Asks the platform to close the window.
fn close(ctx: &egui::Context) {
    ctx.send_viewport_cmd(ViewportCommand::Close);
}
