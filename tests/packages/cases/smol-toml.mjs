import { parse, stringify } from 'smol-toml';

export default () => ({
  parsed: parse('title = "x"\nn = 1_000\nf = 3.5e2\nb = true\nd = 1979-05-27T07:32:00Z\nlist = [1, 2,\n 3]\n[a.b]\nc = { d = "e" }\n[[t]]\nx = 1\n[[t]]\nx = \'\'\'raw\ntext\'\'\'\n'),
  text: stringify({ a: 1, s: 'quote " and\nline', list: [1, 2], t: { u: { v: false } }, rows: [{ x: 1 }, { x: 2 }] }),
  failed: (() => { try { parse('a = '); return 0; } catch (error) { return [error.line, error.column]; } })(),
});
