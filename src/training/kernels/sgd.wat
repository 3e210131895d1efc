;; Stochastic gradient descent over float32 in one memory, four values at a time. Pointers are byte offsets; they need not be
;; aligned to more than 4. Each value is rounded after every operation, in the vector loops as in what they leave over.
(module
  (import "env" "memory" (memory 0))

  ;; g += decay * w; v = momentum * v + g; w -= rate * (g + momentum * v), over `count` values; `g` is left as it is.
  (func (export "update")
    (param $w i32) (param $v i32) (param $g i32) (param $count i32)
    (param $rate f32) (param $momentum f32) (param $decay f32)
    (local $vectors i32) (local $end i32)
    (local $rate4 v128) (local $momentum4 v128) (local $decay4 v128) (local $gradient4 v128) (local $next4 v128)
    (local $gradient f32) (local $next f32)
    (local.set $rate4 (f32x4.splat (local.get $rate)))
    (local.set $momentum4 (f32x4.splat (local.get $momentum)))
    (local.set $decay4 (f32x4.splat (local.get $decay)))
    (local.set $end (i32.add (local.get $w) (i32.shl (local.get $count) (i32.const 2))))
    (local.set $vectors (i32.add (local.get $w) (i32.shl (i32.and (local.get $count) (i32.const -4)) (i32.const 2))))
    (block $vectorsDone
      (loop $next
        (br_if $vectorsDone (i32.ge_u (local.get $w) (local.get $vectors)))
        (local.set $gradient4
          (f32x4.add (v128.load align=4 (local.get $g)) (f32x4.mul (local.get $decay4) (v128.load align=4 (local.get $w)))))
        (local.set $next4
          (f32x4.add (f32x4.mul (local.get $momentum4) (v128.load align=4 (local.get $v))) (local.get $gradient4)))
        (v128.store align=4 (local.get $v) (local.get $next4))
        (v128.store align=4 (local.get $w)
          (f32x4.sub
            (v128.load align=4 (local.get $w))
            (f32x4.mul
              (local.get $rate4)
              (f32x4.add (local.get $gradient4) (f32x4.mul (local.get $momentum4) (local.get $next4))))))
        (local.set $w (i32.add (local.get $w) (i32.const 16)))
        (local.set $v (i32.add (local.get $v) (i32.const 16)))
        (local.set $g (i32.add (local.get $g) (i32.const 16)))
        (br $next)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $w) (local.get $end)))
        (local.set $gradient (f32.add (f32.load (local.get $g)) (f32.mul (local.get $decay) (f32.load (local.get $w)))))
        (local.set $next (f32.add (f32.mul (local.get $momentum) (f32.load (local.get $v))) (local.get $gradient)))
        (f32.store (local.get $v) (local.get $next))
        (f32.store (local.get $w)
          (f32.sub
            (f32.load (local.get $w))
            (f32.mul (local.get $rate) (f32.add (local.get $gradient) (f32.mul (local.get $momentum) (local.get $next))))))
        (local.set $w (i32.add (local.get $w) (i32.const 4)))
        (local.set $v (i32.add (local.get $v) (i32.const 4)))
        (local.set $g (i32.add (local.get $g) (i32.const 4)))
        (br $next))))

  ;; to += from, over `count` values.
  (func (export "add") (param $to i32) (param $from i32) (param $count i32)
    (local $vectors i32) (local $end i32)
    (local.set $end (i32.add (local.get $to) (i32.shl (local.get $count) (i32.const 2))))
    (local.set $vectors (i32.add (local.get $to) (i32.shl (i32.and (local.get $count) (i32.const -4)) (i32.const 2))))
    (block $vectorsDone
      (loop $next
        (br_if $vectorsDone (i32.ge_u (local.get $to) (local.get $vectors)))
        (v128.store align=4 (local.get $to)
          (f32x4.add (v128.load align=4 (local.get $to)) (v128.load align=4 (local.get $from))))
        (local.set $to (i32.add (local.get $to) (i32.const 16)))
        (local.set $from (i32.add (local.get $from) (i32.const 16)))
        (br $next)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $to) (local.get $end)))
        (f32.store (local.get $to) (f32.add (f32.load (local.get $to)) (f32.load (local.get $from))))
        (local.set $to (i32.add (local.get $to) (i32.const 4)))
        (local.set $from (i32.add (local.get $from) (i32.const 4)))
        (br $next)))))
