import * as d3 from 'd3-array';

export default () => {
  const rows = [{ k: 'a', n: 3 }, { k: 'b', n: 1 }, { k: 'a', n: 2 }];
  return {
    statistics: [d3.extent([3, 1, 2]), d3.mean([1, 2, 4]), d3.quantile([1, 2, 3, 4], 0.3), d3.deviation([1, 2, 3])], ticks: [d3.ticks(0, 1, 4), d3.range(0, 1, 0.25)],
    rolled: [...d3.rollup(rows, (group) => d3.sum(group, (d) => d.n), (d) => d.k)], groups: d3.groups(rows, (d) => d.k).map(([key, group]) => [key, group.length]),
    bins: d3.bin().thresholds(3)([1, 2, 3, 7, 9]).map((bin) => [bin.x0, bin.x1, bin.length]), bisected: d3.bisectLeft([1, 3, 5], 4), sorted: d3.sort(rows, (d) => d.n).map((d) => d.n),
    crossed: d3.cross([1, 2], ['x', 'y']), sets: [...d3.union([1, 2], [2, 3])], cumulated: [...d3.cumsum([1, 2, 3])], precise: d3.fsum([0.1, 0.2, 0.3]),
  };
};
