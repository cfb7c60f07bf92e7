// A function is a file that exports a handler. Every request gets a sandbox of its own: it starts
// as this file left it, with `greetings` at 0, and is thrown away when the answer has been sent.
let greetings = 0;

module.exports = (req, res) => {
  greetings += 1;

  // GET /             → {"hello":"world"}
  // GET /?name=Ada    → {"hello":"Ada"}
  const hello = req.query.name || 'world';

  // The console goes to the function's log: the terminal of `ampoule dev`, or `ampoule logs`.
  console.log(`saying hello to ${hello}, greeting number ${greetings} of this sandbox`);

  res.json({ hello });
};
