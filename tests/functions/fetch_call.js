// Sends the subrequest that the body describes, and tells what came of it.
module.exports = async (req, res) => {
  const { url, init } = req.body;
  try {
    const answer = await fetch(url, init);
    const { ok, redirected, status, statusText } = answer;
    const headers = Object.fromEntries(answer.headers);
    const body = await answer.text();
    res.json({ ok, redirected, status, statusText, url: answer.url, headers, body });
  } catch (error) {
    const { cause, message, name } = error;
    const isTypeError = error instanceof TypeError;
    res.json({ name, message, isTypeError, code: cause?.code, reason: cause?.message });
  }
};
