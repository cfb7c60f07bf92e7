const ini = require('ini');

module.exports = () => ({
  parsed: ini.parse('; comment\ntop=1\n[a]\nx = "quoted ; text"\nlist[]=1\nlist[]=2\nflag\n[a.b.c]\ny=true\n'),
  text: ini.stringify({ top: 1, a: { x: 'y', list: [1, 2], deep: { z: 'w;' } } }, { whitespace: true }),
  section: ini.stringify({ k: 'v' }, { section: 's' }), safe: [ini.safe('"x"'), ini.unsafe('"a b"')],
});
