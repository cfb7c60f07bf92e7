module.exports = async function(req, res) {
res.type('application/json');
res.write('[');
let first = true;
for await (const item of streamItems()) {
if (!first) res.write(',');
res.write(JSON.stringify(item));
first = false;
}
res.write(']');
res.end();
};

async function* streamItems() {
  const items = JSON.parse(process.env.ITEMS ?? '[{"a":1},{"a":2}]');
  for (const [index, item] of items.entries()) {
    if (index > 0 && process.env.GATE) await fetch(process.env.GATE);
    yield item;
  }
}
