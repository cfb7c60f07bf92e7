const Fuse = require('fuse.js').default ?? require('fuse.js');

module.exports = () => {
  const books = [{ title: "Old Man's War", author: { name: 'John Scalzi' }, tags: ['fiction'] }, { title: 'The Lock Artist', author: { name: 'Steve Hamilton' }, tags: ['crime'] }, { title: 'HTML5', author: { name: 'Remy Sharp' }, tags: ['web', 'fiction'] }];
  const fuse = new Fuse(books, { keys: ['title', { name: 'author.name', weight: 0.5 }, 'tags'], includeScore: true, includeMatches: true, threshold: 0.4 });
  const tell = (results) => results.map(({ item, score, matches }) => [item.title, Number(score.toFixed(8)), matches?.length]);
  return {
    fuzzy: tell(fuse.search('old mn')), nested: tell(fuse.search('jon')), tags: tell(fuse.search('fiction')), none: fuse.search('zzzz').length,
    extended: new Fuse(['apple pie', 'banana', 'apricot'], { useExtendedSearch: true }).search('^ap !pie').map(({ item }) => item), limited: fuse.search('e', { limit: 1 }).length,
  };
};
