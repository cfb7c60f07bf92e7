;; The allocator that host functions use for the lists they answer. See guest/src/scratch.rs for
;; the layout at $state (here 4096, replaced by `link`):
;;   +0 used   +4 end   +8 regions   +12 (base, end) of each of at most 64 regions
(module
  (import "env" "memory" (memory 1))
  (func (export "realloc")
    (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32) (local $pages i32) (local $base i32) (local $count i32)
    ;; at = (used + align - 1) & -align
    (local.set $at
      (i32.and
        (i32.sub (i32.add (i32.load (i32.const 4096)) (local.get $align)) (i32.const 1))
        (i32.sub (i32.const 0) (local.get $align))))
    (block $placed
      ;; Fits when at <= end and size <= end - at, all unsigned.
      (br_if $placed
        (i32.and
          (i32.le_u (local.get $at) (i32.load offset=4 (i32.const 4096)))
          (i32.le_u (local.get $size)
            (i32.sub (i32.load offset=4 (i32.const 4096)) (local.get $at)))))
      ;; A region of its own, of at least 256 KiB.
      (if (i32.ge_u (local.get $size) (i32.const 0x7fff0000)) (then unreachable))
      (local.set $count (i32.load offset=8 (i32.const 4096)))
      (if (i32.ge_u (local.get $count) (i32.const 64)) (then unreachable))
      (local.set $pages
        (i32.shr_u (i32.add (local.get $size) (i32.const 0xffff)) (i32.const 16)))
      (if (i32.lt_u (local.get $pages) (i32.const 4)) (then (local.set $pages (i32.const 4))))
      (local.set $base (memory.grow (local.get $pages)))
      (if (i32.eq (local.get $base) (i32.const -1)) (then unreachable))
      (local.set $base (i32.shl (local.get $base) (i32.const 16)))
      (i32.store offset=12
        (i32.add (i32.const 4096) (i32.shl (local.get $count) (i32.const 3)))
        (local.get $base))
      (i32.store offset=4 (i32.const 4096)
        (i32.add (local.get $base) (i32.shl (local.get $pages) (i32.const 16))))
      (i32.store offset=16
        (i32.add (i32.const 4096) (i32.shl (local.get $count) (i32.const 3)))
        (i32.load offset=4 (i32.const 4096)))
      (i32.store offset=8 (i32.const 4096) (i32.add (local.get $count) (i32.const 1)))
      (local.set $at (local.get $base)))
    (i32.store (i32.const 4096) (i32.add (local.get $at) (local.get $size)))
    (if (local.get $old)
      (then (memory.copy (local.get $at) (local.get $old) (local.get $old_size))))
    (local.get $at))

  ;; Where an overlay is put to be applied: the end of memory, which the guest does not know of.
  ;; The server sees to it that there is room.
  (func (export "stage")
    (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (i32.and
      (i32.sub (i32.shl (memory.size) (i32.const 16)) (local.get $size))
      (i32.const -16)))

  ;; Copies each part of the overlay to where it belongs.
  (func (export "apply") (param $at i32) (param $bytes i32)
    (local $end i32) (local $length i32)
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $length (i32.load offset=4 (local.get $at)))
        (memory.copy
          (i32.load (local.get $at))
          (i32.add (local.get $at) (i32.const 8))
          (local.get $length))
        (local.set $at
          (i32.add (i32.add (local.get $at) (i32.const 8)) (local.get $length)))
        (br $next)))))
