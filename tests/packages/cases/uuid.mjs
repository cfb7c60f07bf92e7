import { v1, v3, v4, v5, v7, validate, version, parse, stringify, NIL, MAX } from 'uuid';

const V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

export default () => {
  const random = Array.from({ length: 10 }, () => v4());
  return {
    v3: v3('hello', v3.DNS), v5: [v5('hello', v5.URL), v5('é', '1b671a64-40d5-491e-99b0-da01ff1f3341')],
    v4: random.every((id) => V4.test(id)) && new Set(random).size === 10,
    versions: [version(v1()), version(v7()), version(random[0])],
    given: v4({ random: Uint8Array.from({ length: 16 }, (_, i) => i) }),
    v7: v7({ msecs: 1700000000000, seq: 7, random: new Uint8Array(16) }),
    valid: [validate(NIL), validate(MAX), validate('no')],
    bytes: [...parse('6ba7b810-9dad-11d1-80b4-00c04fd430c8')], text: stringify(new Uint8Array(16).fill(0x88)),
  };
};
