#!/usr/bin/env bash
# build.sh OUTDIR [count] — builds the guest's artifacts: component.wasm, image.wasm, guest.js; with
# `count`, of a guest that counts what it executes (ADR 0034).
#
# Needs a Wasm toolchain, which building and running the server does not. Known to work, bit for
# bit reproducible, with Debian 12's packages rustc-web, cargo-web, rust-web-src, clang-22, lld-22,
# llvm-22, wasi-libc, libclang-rt-22-dev-wasm32 and Node 20 (see docs/guest.md). Call it through
# `cargo xtask guest`, which also writes the manifest.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
target=${GUEST_TARGET_DIR:-$here/target}
rustc=${GUEST_RUSTC:-/usr/bin/rustc}
cargo=${GUEST_CARGO:-/usr/bin/cargo}
mkdir -p "$target"

# The JavaScript layer.
(cd "$here/js" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error && npm run --silent build)

# A sysroot as clang and bindgen expect it, on top of Debian's wasi-libc.
sysroot=$target/sysroot
mkdir -p "$sysroot/include" "$sysroot/lib"
ln -sfn /usr/include/wasm32-wasi "$sysroot/include/wasm32-wasip1"
ln -sfn /usr/include/wasm32-wasi "$sysroot/include/wasm32-wasi"
ln -sfn /usr/lib/wasm32-wasi "$sysroot/lib/wasm32-wasip1"
ln -sfn /usr/lib/wasm32-wasi "$sysroot/lib/wasm32-wasi"

# A change of the amendments has to reach cargo, which knows of flags only.
amendments=$(cat "$here/cc.sh" "$here"/quickjs/* | sha256sum | cut -c1-16)
export RUSTC=$rustc RUSTC_BOOTSTRAP=1 RUSTQUICKJS=1
export RQUICKJS_SYS_NO_WASI_SDK=1 WASI_SDK=
export CC_wasm32_wasip1=$here/cc.sh AR_wasm32_wasip1=llvm-ar-22
export CFLAGS_wasm32_wasip1="--sysroot=$sysroot -O3 -fno-strict-aliasing -mno-bulk-memory -mno-bulk-memory-opt -msign-ext -mnontrapping-fptoint -mmutable-globals -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_PROCESS_CLOCKS -DAMENDMENTS=0x$amendments -ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}=/cargo -ffile-prefix-map=$target=/target"
export BINDGEN_EXTRA_CLANG_ARGS_wasm32_wasip1="--sysroot=$sysroot"
libclang=$(ls -d /usr/lib/llvm-*/lib 2>/dev/null | sort -V | tail -1)
export LIBCLANG_PATH=${LIBCLANG_PATH:-$libclang}
stack=$((1024 * 1024))
export CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld-22
export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="\
-C link-self-contained=no -C target-feature=-bulk-memory,+sign-ext,+nontrapping-fptoint,+mutable-globals \
-L /usr/lib/wasm32-wasi \
-C link-arg=-lwasi-emulated-signal -C link-arg=-lwasi-emulated-process-clocks \
-C link-arg=--stack-first -C link-arg=-zstack-size=$stack \
-C link-arg=--export=AMPOULE_HOT -C link-arg=--export=__stack_pointer \
--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$target=/target --remap-path-prefix=$here=/guest"
"$cargo" build --manifest-path "$here/Cargo.toml" --locked --release --target wasm32-wasip1 \
    --target-dir "$target" -Zbuild-std=std,panic_abort

# What clang left out of line stays there: a slow way that only one place takes crowds the registers of
# the interpreter (ADR 0023).
link() {
    (cd "$here/link" && cargo run --quiet --locked --profile tool --target-dir "$target/link" -- "$@")
}
link redirect "$target/wasm32-wasip1/release/ampoule_guest.wasm" "$target/merged.wasm"
"$here/js/node_modules/.bin/wasm-opt" -O3 --one-caller-inline-max-function-size=40 --enable-bulk-memory --enable-sign-ext \
    --enable-nontrapping-float-to-int --enable-mutable-globals --enable-multivalue \
    --enable-reference-types "$target/merged.wasm" -o "$target/optimised.wasm"
# The split into engine, image and component.
link "${2:-split}" "$target/optimised.wasm" "$out"

# The server hands it to the guest, and the benches run it natively, to compare with.
cp "$here/js/dist/guest.js" "$out/guest.js"
