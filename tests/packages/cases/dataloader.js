const DataLoader = require('dataloader');

module.exports = async () => {
  const batches = [];
  const loader = new DataLoader(async (keys) => { batches.push([...keys]); return keys.map((key) => (key < 0 ? new Error(`no ${key}`) : key * 10)); }, { maxBatchSize: 3 });
  const values = await Promise.all([loader.load(1), loader.load(2), loader.load(1), loader.load(3), loader.load(4)]);
  const failed = await loader.load(-1).catch((error) => error.message);
  loader.clear(1).prime(9, 'primed');
  return { values, batches: [...batches], failed, primed: await loader.load(9), many: (await loader.loadMany([1, -2])).map(String), all: batches.length };
};
