using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "peer", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "peer")],
);

const worker :Workerd.Worker = (
  compatibilityDate = "2026-01-01",
  modules = [
    (name = "workerd.js", esModule = embed "workerd.js"),
    (name = "logic.js", esModule = embed "logic.js"),
  ],
);
