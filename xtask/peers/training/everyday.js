// What hello and json leave out: kv, a subrequest, a log line, a header, a body that is read.
module.exports = async (req, res) => {
  const key = `visits-${Math.floor(Math.random() * 1000)}`;
  const visits = (await kv.get(key)) ?? 0;
  await kv.set(key, visits + 1);
  console.log('visit', visits, 'of', key);
  const answer = await fetch(req.query.url);
  const { hello } = await answer.json();
  res.set('x-visits', String(visits)).send(`${hello} ${req.body.order}`);
};
