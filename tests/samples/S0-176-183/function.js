module.exports = async function (req, res) {
// ✅ Stream responses
res.type('application/json');
res.write('[');
for await (const item of getItems()) {
res.write(JSON.stringify(item) + ',');
}
res.write(']');
res.end();
};

async function* getItems() {
  const items = JSON.parse(process.env.ITEMS ?? '[{"a":1},{"a":2}]');
  for (const [index, item] of items.entries()) {
    if (index > 0 && process.env.GATE) await fetch(process.env.GATE);
    yield item;
  }
}
