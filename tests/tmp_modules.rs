#[path = "it/server.rs"] mod server;
#[path = "it/fetch.rs"] mod fetch;
#[path = "it/kv.rs"] mod kv;
#[path = "it/modules.rs"] mod modules;
#[path = "it/samples.rs"] mod samples;
#[path = "it/streams.rs"] mod streams;
