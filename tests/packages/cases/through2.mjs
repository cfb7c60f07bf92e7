import * as module_ from 'through2';

const through = module_.default ?? module_.through2 ?? module_.through;
const make = through.obj ?? module_.obj;

const collect = async (stream) => { const all = []; for await (const chunk of stream) all.push(chunk); return all; };

export default async () => {
  const text = through(function (chunk, _, done) { this.push(`<${chunk}>`); done(); }, (done) => done());
  text.write('a');
  text.end('b');
  const objects = make((value, _, done) => done(null, { n: value.n + 1 }));
  objects.write({ n: 1 });
  objects.end({ n: 2 });
  return { text: (await collect(text)).join(''), objects: await collect(objects) };
};
