//! The guest: QuickJS (through `javy`), the JavaScript layer of `js/`, and the world of `wit/`.
//!
//! In reading order: [`exports`] is what the host calls, [`engine`] owns the JavaScript runtime,
//! [`natives`] is what the JavaScript layer may call, [`operations`] brings host work back to it,
//! [`modules`] finds and loads the user's code, [`files`] reads it through WASI, and
//! [`hot`], [`heap`], [`scratch`] and [`preview1`] keep the sandbox small: what is written to, where
//! the host writes, and what the C library may ask for.

mod binding;
mod cache;
mod codec;
mod compression;
mod content;
mod context;
mod crypto;
mod engine;
mod exports;
mod failure;
mod files;
mod filesystem;
mod heap;
mod hot;
mod loading;
mod modules;
mod natives;
mod operations;
mod preview1;
mod rejections;
mod resolver;
mod scratch;
mod text;
mod websocket;

mod bindings {
    #![allow(
        missing_docs,
        reason = "generated; the WIT files are the documentation"
    )]
    wit_bindgen::generate!({
        path: "../wit",
        world: "function",
        generate_all,
        pub_export_macro: true,
    });
}

pub(crate) use bindings::ampoule::host;
pub(crate) use bindings::wasi;
