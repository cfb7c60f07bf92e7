// Carries out one operation of `kv`, and tells what came of it.
module.exports = async (req, res) => {
  const { args, op } = req.body;
  try {
    res.json({ value: await kv[op](...args) });
  } catch (error) {
    const { code, message, name } = error;
    res.json({ error: { name, code, message } });
  }
};
