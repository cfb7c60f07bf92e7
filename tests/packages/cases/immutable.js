const { Map, List, Set, OrderedMap, Record, Range, fromJS, is } = require('immutable');

module.exports = () => {
  const map = Map({ a: 1, b: 2 });
  const Point = Record({ x: 0, y: 0 });
  const tree = fromJS({ a: { b: [1, 2, { c: 3 }] } });
  return {
    map: [map.set('a', 9).toJS(), map.toJS(), map.merge({ c: 3 }).size],
    list: List([3, 1, 2]).sort().push(7).map((n) => n * 2),
    set: Set([1, 2, 2, 3]).union([4]).toArray(),
    ordered: OrderedMap([['z', 1], ['a', 2]]).keySeq().toArray(),
    record: [new Point({ x: 5 }).toObject(), new Point().set('y', 2).equals(Point({ y: 2 }))],
    range: Range(1, Infinity).filter((n) => n % 3 === 0).take(3).toArray(),
    deep: [tree.getIn(['a', 'b', 2, 'c']), tree.updateIn(['a', 'b', 0], (n) => n + 1)],
    grouped: List([1, 2, 3, 4]).groupBy((n) => n % 2).toJS(),
    is: is(Map({ a: List([1]) }), Map({ a: List([1]) })),
    text: String(Map({ a: List([1, 'x']) })),
  };
};
