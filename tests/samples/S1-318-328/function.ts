interface RequestBody {
email: string;
name: string;
}
module.exports = async function(
req: { body: RequestBody },
res: any
) {
const { email, name } = req.body;
// Type-safe code
};
