# Behind the recipe of docs/verify/jwt.md: says of each JWT on standard input whom it names, or by which error PyJWT refuses it.
import json, sys

asked = json.load(sys.stdin)
keys = jwt.PyJWKClient(asked["keys"], headers={"Host": asked["host"]})


def verdict(token):
    try:
        return member(token, keys)["sub"]
    except jwt.PyJWTError as error:
        return type(error).__name__


print(json.dumps([verdict(token) for token in asked["tokens"]]))
