require('./part.js');

module.exports = (req, res) => {
  part(Number(req.query.benchmark), Number(req.query.count));
  res.send('done');
};
